/* The command line. Never looks beyond the bytes it is given, and has no effect but its answer. */
#include "hv/command.h"

#include "hv/fmt.h"

static const struct {
    const char *word;
    const char *usage;
    const char *meaning;
    enum command_kind kind;
    bool takes_name;
} commands[] = {
    {"help", "help", "this list", COMMAND_HELP, false},
    {"status", "status", "state, progress and time of every partition", COMMAND_STATUS, false},
    {"audit", "audit", "check page tables and the isolation of all partitions", COMMAND_AUDIT, false},
    {"report", "report", "the report so far, with exits by reason", COMMAND_REPORT, false},
    {"stop", "stop NAME", "stop one partition", COMMAND_STOP, true},
    {"shutdown", "shutdown", "stop all partitions, print the report, power off", COMMAND_SHUTDOWN, false},
};

bool command_help(uint32_t index, const char **usage, const char **meaning)
{
    if (index >= ARRAY_SIZE(commands))
        return false;
    *usage = commands[index].usage;
    *meaning = commands[index].meaning;
    return true;
}

/* ---------------------------------------------------------------- parsing */

/* Splits the next word off text; an empty one at the end. Blanks are spaces and tabs. */
struct word {
    const char *text;
    size_t length;
};

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct word next_word(const char **text, size_t *length)
{
    while (*length > 0 && blank(**text)) {
        (*text)++;
        (*length)--;
    }
    struct word word = {*text, 0};
    while (word.length < *length && !blank(word.text[word.length]))
        word.length++;
    *text += word.length;
    *length -= word.length;
    return word;
}

static bool word_is(struct word word, const char *text)
{
    return fmt_length(text, word.length + 1) == word.length &&
           __builtin_memcmp(text, word.text, word.length) == 0;
}

/* The word as it may be shown: cut, and with nothing a terminal would obey. */
struct shown {
    char text[CONFIG_NAME_BYTES];
};

static struct shown shown(struct word word)
{
    struct shown out = {""};
    for (size_t i = 0; i < word.length && i + 1 < sizeof(out.text); i++)
        out.text[i] = word.text[i] >= ' ' && word.text[i] <= '~' ? word.text[i] : '?';
    return out;
}

static bool take_name(struct command *command, struct word name)
{
    if (name.length == 0) {
        fmt_copy(command->error, sizeof(command->error),
                 "stop: the name of a partition is missing: stop NAME");
        return false;
    }
    if (name.length >= sizeof(command->name)) {
        fmt_snprintf(command->error, sizeof(command->error),
                     "stop: no partition has a name as long as \"%s...\"", shown(name).text);
        return false;
    }
    __builtin_memcpy(command->name, name.text, name.length);
    command->name[name.length] = '\0';
    return true;
}

static bool refuse_unknown(struct command *command, struct word word)
{
    fmt_snprintf(command->error, sizeof(command->error), "there is no command \"%s\": try help",
                 shown(word).text);
    return false;
}

bool command_parse(const char *text, size_t length, struct command *command)
{
    *command = (struct command){.kind = COMMAND_NONE};
    struct word word = next_word(&text, &length);
    if (word.length == 0)
        return true;
    size_t i = 0;
    while (i < ARRAY_SIZE(commands) && !word_is(word, commands[i].word))
        i++;
    if (i == ARRAY_SIZE(commands))
        return refuse_unknown(command, word);
    if (commands[i].takes_name && !take_name(command, next_word(&text, &length)))
        return false;
    struct word rest = next_word(&text, &length);
    if (rest.length > 0) {
        fmt_snprintf(command->error, sizeof(command->error), "%s: \"%s\" is too much: the command is %s",
                     commands[i].word, shown(rest).text, commands[i].usage);
        return false;
    }
    command->kind = commands[i].kind;
    return true;
}

/* ---------------------------------------------------------------- typing */

#define KEY_CTRL_C    0x03
#define KEY_BACKSPACE 0x08
#define KEY_CTRL_U    0x15
#define KEY_DELETE    0x7F

void command_input_clear(struct command_input *input)
{
    input->length = 0;
    input->text[0] = '\0';
}

static enum command_key type(struct command_input *input, uint8_t byte)
{
    if (byte < ' ' || byte > '~' || input->length + 1 == sizeof(input->text))
        return COMMAND_KEY_IGNORED;
    input->text[input->length++] = (char)byte;
    input->text[input->length] = '\0';
    return COMMAND_KEY_TYPED;
}

static enum command_key erase(struct command_input *input)
{
    if (input->length == 0)
        return COMMAND_KEY_IGNORED;
    input->text[--input->length] = '\0';
    return COMMAND_KEY_ERASED;
}

enum command_key command_input_key(struct command_input *input, uint8_t byte)
{
    bool after_return = input->return_seen;
    input->return_seen = byte == '\r';
    switch (byte) {
    case '\n':
        return after_return ? COMMAND_KEY_IGNORED : COMMAND_KEY_FINISHED;
    case '\r':
        return COMMAND_KEY_FINISHED;
    case KEY_BACKSPACE:
    case KEY_DELETE:
        return erase(input);
    case KEY_CTRL_C:
    case KEY_CTRL_U:
        command_input_clear(input);
        return COMMAND_KEY_DROPPED;
    default:
        return type(input, byte);
    }
}

/* The command line. Never looks beyond the bytes it is given, and has no effect but its answer. */
#include "hv/command.h"

#include "hv/fmt.h"

static const struct {
    const char *word;
    const char *usage;
    const char *meaning;
    enum command_kind kind;
    bool takes_argument;
} commands[] = {
    {"help", "help", "this list", COMMAND_HELP, false},
    {"status", "status", "state, progress and time of every partition", COMMAND_STATUS, false},
    {"audit", "audit", "check page tables and the isolation of all partitions", COMMAND_AUDIT, false},
    {"report", "report", "the report so far, with exits by reason", COMMAND_REPORT, false},
    {"events", "events", "the last events, where there is no COM2 to tell them", COMMAND_EVENTS, false},
    {"stop", "stop NAME", "stop one partition", COMMAND_STOP, true},
    {"shutdown", "shutdown", "print the report and power off, whatever still runs", COMMAND_SHUTDOWN, false},
};

void command_help(void (*line)(void *context, const char *text), void *context)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        char text[80];
        fmt_snprintf(text, sizeof(text), "  %-12s %s", commands[i].usage, commands[i].meaning);
        line(context, text);
    }
}

/* ---------------------------------------------------------------- parsing */

struct word {
    const char *text;
    size_t length;
};

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Takes the next word off *text; an empty one at the end. */
static struct word next_word(const char **text)
{
    while (blank(**text))
        (*text)++;
    struct word word = {*text, 0};
    while (**text != '\0' && !blank(**text))
        (*text)++;
    word.length = (size_t)(*text - word.text);
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

static bool take_argument(struct command *command, struct word name)
{
    if (name.length == 0) {
        fmt_copy(command->error, sizeof(command->error),
                 "stop: the name of a partition is missing: stop NAME");
        return false;
    }
    if (name.length >= sizeof(command->argument)) {
        fmt_snprintf(command->error, sizeof(command->error),
                     "stop: no partition has a name as long as \"%s...\"", shown(name).text);
        return false;
    }
    __builtin_memcpy(command->argument, name.text, name.length);
    command->argument[name.length] = '\0';
    return true;
}

static bool refuse_unknown(struct command *command, struct word word)
{
    fmt_snprintf(command->error, sizeof(command->error), "there is no command \"%s\": try help",
                 shown(word).text);
    return false;
}

bool command_parse(const char *text, struct command *command)
{
    *command = (struct command){.kind = COMMAND_NONE};
    struct word word = next_word(&text);
    if (word.length == 0)
        return true;
    size_t i = 0;
    while (i < ARRAY_SIZE(commands) && !word_is(word, commands[i].word))
        i++;
    if (i == ARRAY_SIZE(commands))
        return refuse_unknown(command, word);
    if (commands[i].takes_argument && !take_argument(command, next_word(&text)))
        return false;
    struct word rest = next_word(&text);
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

static void clear(struct command_line *line)
{
    line->length = 0;
    line->text[0] = '\0';
}

static void echo(struct command_line *line, const char *text)
{
    fmt_copy(line->echo, sizeof(line->echo), text);
}

static void type(struct command_line *line, char byte)
{
    if (byte < ' ' || byte > '~' || line->length + 1 == sizeof(line->text))
        return;
    line->text[line->length++] = byte;
    line->text[line->length] = '\0';
    echo(line, (const char[]){byte, '\0'});
}

static void erase(struct command_line *line)
{
    if (line->length == 0)
        return;
    line->text[--line->length] = '\0';
    echo(line, "\b \b");
}

static const char *finish(struct command_line *line)
{
    line->finished = true;
    echo(line, "\r\n");
    return line->text;
}

const char *command_line_add(struct command_line *line, char byte)
{
    bool after_return = line->return_seen;
    line->return_seen = byte == '\r';
    line->echo[0] = '\0';
    if (byte == '\n' && after_return)
        return NULL; /* the second half of CR LF */
    if (line->finished)
        clear(line);
    line->finished = false;
    if (byte == '\r' || byte == '\n')
        return finish(line);
    if (byte == KEY_CTRL_C || byte == KEY_CTRL_U) {
        clear(line);
        echo(line, "\r\n");
    } else if (byte == KEY_BACKSPACE || byte == KEY_DELETE) {
        erase(line);
    } else {
        type(line, byte);
    }
    return NULL;
}

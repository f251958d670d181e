#include "host_tests/support/marked.h"

#include <stdlib.h>
#include <string.h>

#define MARK '`'

struct marked marked_open_bytes(const char *with_mark, size_t length)
{
    struct marked marked = {.text = malloc(length > 0 ? length : 1)};
    uint32_t line = 1, column = 1;
    if (marked.text == NULL)
        abort();
    for (size_t i = 0; i < length; i++) {
        if (with_mark[i] == MARK) {
            marked.pos = (struct source_pos){line, column};
            continue;
        }
        marked.text[marked.length++] = with_mark[i];
        column++;
        if (with_mark[i] == '\n') {
            line++;
            column = 1;
        }
    }
    char *exact = realloc(marked.text, marked.length > 0 ? marked.length : 1);
    if (exact == NULL)
        abort();
    marked.text = exact;
    return marked;
}

struct marked marked_open(const char *with_mark)
{
    return marked_open_bytes(with_mark, strlen(with_mark));
}

void marked_close(struct marked *marked)
{
    free(marked->text);
    marked->text = NULL;
}

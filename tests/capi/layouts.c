// Sizes, offsets and numbers of fleming.h, a line each: what a compiled program depends on.

#include <fleming.h>
#include <stdio.h>

// The fields follow one another without a gap: `end` is where the last one ended.
static size_t end;

#define STRUCT(type)                                                  \
    end = 0;                                                          \
    printf("%s %d\n", #type, (int)sizeof(type))
#define FIELD(type, field)                                                                           \
    printf("%s.%s %d\n", #type, #field, (int)offsetof(type, field));                                 \
    if (offsetof(type, field) != end) printf("GAP before %s.%s\n", #type, #field);                   \
    end = offsetof(type, field) + sizeof(((type *)0)->field)
#define LAST(type) if (end != sizeof(type)) printf("GAP at the end of %s\n", #type)
#define NUMBER(name) printf("%s %d\n", #name, (int)name)

int main(void) {
#include "layouts.inc"
    return 0;
}

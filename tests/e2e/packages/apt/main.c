#include <greet.h>
#include <stdio.h>

#define GUEST "world"

int main(void)
{
    printf("%s, dear %s\n", greet(), GUEST);
    return 0;
}

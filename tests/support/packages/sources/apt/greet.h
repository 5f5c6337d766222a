/* What libgreet knows: how a day begins. */
const char *greet(void);

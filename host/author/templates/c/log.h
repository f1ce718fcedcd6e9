
// ---- The log ----

typedef wit_tuple2_string_string_t pg_field_t;

// A fact of a log line.
static inline pg_field_t pg_field(const char *name, wit_string_t value)
{
    return (pg_field_t) { pg_text(name), value };
}

// Level is one of LOG_LEVEL_DEBUG, _INFO, _WARN, _ERROR; the message is one short phrase, always the same for the same thing.
static inline void pg_log_fields(log_level_t level, const char *message, size_t count, pg_field_t *fields)
{
    wit_string_t text = pg_text(message);
    wit_list_tuple2_string_string_t list = { fields, count };
    log_write(level, &text, &list);
}

// pg_info("delivered", pg_field("recipient", name)), with any number of fields.
#define pg_log(level, message, ...) \
    pg_log_fields(level, message, sizeof((pg_field_t[]) { __VA_ARGS__ }) / sizeof(pg_field_t), (pg_field_t[]) { __VA_ARGS__ })
#define pg_debug(message, ...) pg_log(LOG_LEVEL_DEBUG, message __VA_OPT__(, ) __VA_ARGS__)
#define pg_info(message, ...) pg_log(LOG_LEVEL_INFO, message __VA_OPT__(, ) __VA_ARGS__)
#define pg_warn(message, ...) pg_log(LOG_LEVEL_WARN, message __VA_OPT__(, ) __VA_ARGS__)
#define pg_error(message, ...) pg_log(LOG_LEVEL_ERROR, message __VA_OPT__(, ) __VA_ARGS__)

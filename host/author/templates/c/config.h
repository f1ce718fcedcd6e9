
// ---- The plugin's own table in the configuration ----

static inline bool pg_setting_at(wit_string_t *value, size_t count, const char *const *keys)
{
    wit_string_t *path = malloc(count * sizeof(wit_string_t));
    for (size_t i = 0; i < count; i++) {
        path[i] = pg_text(keys[i]);
    }
    wit_list_string_t list = { path, count };
    bool is_there = config_value(&list, value);
    free(path);
    return is_there;
}

// pg_setting(&value, "domains", "example.org"): one value by its keys from the outside in, text as it is and everything else as JSON.
// Answers whether it is there; free it with wit_string_free then.
#define pg_setting(value, ...) \
    pg_setting_at(value, sizeof((const char *[]) { __VA_ARGS__ }) / sizeof(const char *), (const char *[]) { __VA_ARGS__ })

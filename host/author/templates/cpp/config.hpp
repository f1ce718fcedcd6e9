
// ---- The plugin's own table in the configuration ----

// setting({ "domains", "example.org" }): one value by its keys from the outside in, text as it is and everything else as JSON.
inline std::optional<std::string> setting(std::initializer_list<std::string_view> path)
{
    auto value = config::Value({ path.begin(), path.size() });
    if (!value) {
        return std::nullopt;
    }
    return std::string(view(*value));
}

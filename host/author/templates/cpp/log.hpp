
// ---- The log ----

// A fact of a log line.
using Field = std::tuple<std::string_view, std::string_view>;

// The message is one short phrase, always the same for the same thing: info("delivered", { { "recipient", name } }).
inline void debug(std::string_view message, std::initializer_list<Field> fields = {}) { log::Write(log::Level::kDebug, message, fields); }
inline void info(std::string_view message, std::initializer_list<Field> fields = {}) { log::Write(log::Level::kInfo, message, fields); }
inline void warn(std::string_view message, std::initializer_list<Field> fields = {}) { log::Write(log::Level::kWarn, message, fields); }
inline void error(std::string_view message, std::initializer_list<Field> fields = {}) { log::Write(log::Level::kError, message, fields); }

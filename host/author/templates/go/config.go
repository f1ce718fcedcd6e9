package postgate

import config "@@NAME@@/bindings/postgate_mail_config"

// Setting is one value of the plugin's own table in the configuration, by its keys from the outside in: text as it is, everything else as
// JSON. It says whether it is there.
func Setting(path ...string) (string, bool) {
	value := config.Value(path)
	return value.SomeOr(""), value.IsSome()
}

package postgate

import (
	log "@@NAME@@/bindings/postgate_mail_log"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

// Debug writes a log line: one short phrase, always the same for the same thing, and its facts as name, value, name, value …
func Debug(message string, facts ...string) { write(log.LevelDebug, message, facts) }

// Info writes a log line.
func Info(message string, facts ...string) { write(log.LevelInfo, message, facts) }

// Warn writes a log line.
func Warn(message string, facts ...string) { write(log.LevelWarn, message, facts) }

// Error writes a log line.
func Error(message string, facts ...string) { write(log.LevelError, message, facts) }

func write(level log.Level, message string, facts []string) {
	fields := make([]wit.Tuple2[string, string], len(facts)/2)
	for i := range fields {
		fields[i] = wit.Tuple2[string, string]{F0: facts[2*i], F1: facts[2*i+1]}
	}
	log.Write(level, message, fields)
}

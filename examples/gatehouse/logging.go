package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	slogmulti "github.com/samber/slog-multi"
	"github.com/spf13/cobra"
)

// logging are the flags of the log.
type logging struct {
	format, level, file string
}

func (l *logging) flags(cmd *cobra.Command) {
	l.format, l.level = "text", "info"
	levels := []string{"debug", "info", "warn", "error"}
	cmd.Flags().Var(&oneOf{value: &l.format, allowed: []string{"text", "json"}}, "log-format", "`FORMAT` of the log on standard error: text or json")
	cmd.Flags().Var(&oneOf{value: &l.level, allowed: levels}, "log-level", "lowest `LEVEL` that is logged: debug, info, warn or error")
	cmd.Flags().StringVar(&l.file, "log-file", "", "log to `FILE` too, as JSON")
	_ = cmd.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions(levels, cobra.ShellCompDirectiveNoFileComp))
}

// open makes the logger. close ends the log file.
func (l *logging) open(stderr io.Writer) (log *slog.Logger, end func() error, err error) {
	o := new(slog.HandlerOptions)
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, nil, err
	}
	o.Level = level
	var h slog.Handler = slog.NewTextHandler(stderr, o)
	if l.format == "json" {
		h = slog.NewJSONHandler(stderr, o)
	}
	if l.file == "" {
		return slog.New(h), func() error { return nil }, nil
	}
	f, err := os.OpenFile(l.file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log file: %w", err)
	}
	return slog.New(slogmulti.Fanout(h, slog.NewJSONHandler(f, o))), f.Close, nil
}

package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-mcp/gatehouse/gateway/config"
)

// Exit codes.
const (
	exitFound = 1 // a check failed, or something was found
	exitUsage = 2 // bad usage or configuration
)

// app is one run of the program.
type app struct {
	in       io.Reader
	out, err io.Writer
	lookup   func(name string) (string, bool) // the environment

	log *slog.Logger // of serve; nil for the other commands

	configPath string
	format     string
}

// exit is an error with the code that the program ends with.
type exit struct {
	code int
	err  error // nil: everything was said already
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// run runs the program and returns its exit code.
func (a *app) run(args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	cmd, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	var e *exit
	if !errors.As(err, &e) { // cobra's own: a flag or an argument is wrong
		fmt.Fprintf(a.err, "gatehouse: %v\nRun '%s --help' for usage.\n", err, cmd.CommandPath())
		return exitUsage
	}
	if e.err != nil {
		for line := range strings.Lines(e.err.Error()) {
			fmt.Fprintf(a.err, "gatehouse: %s\n", strings.TrimRight(line, "\n"))
		}
	}
	return e.code
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "gatehouse",
		Short: "Many MCP servers behind one endpoint",
		Long: `Gatehouse puts many MCP servers behind one endpoint. Every message between
clients and servers passes one chain of interceptors.

The configuration is read from --config, else from
$XDG_CONFIG_HOME/gatehouse/config.yaml (~/.config/gatehouse/config.yaml).

Exit codes: 0 fine, 1 a check failed or something was found, 2 bad usage or a
bad configuration.`,
		Example: `  # A configuration to begin with
  cat > gatehouse.yaml <<'EOF'
  servers:
    files: {command: [npx, -y, "@modelcontextprotocol/server-filesystem", /tmp]}
    docs:  {url: "https://mcp.example.com/mcp", headers: {Authorization: "Bearer ${DOCS_TOKEN}"}}
  EOF
  gatehouse check --config gatehouse.yaml
  gatehouse serve --config gatehouse.yaml`,
		Args:          commandAlone,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(a.serveCommand(), a.checkCommand(), a.psCommand(), a.statsCommand(), a.reapCommand(), a.secretCommand(), a.scanCommand(), a.configCommand(), a.versionCommand())
	return root
}

// commandAlone refuses a command that is not known and names the nearest.
func commandAlone(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("; did you mean %q?", near[0])
	}
	return fmt.Errorf("unknown command %q for %q%s", args[0], cmd.CommandPath(), hint)
}

// configFlag adds --config to a command.
func (a *app) configFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&a.configPath, "config", "c", "", "configuration `FILE` (default $XDG_CONFIG_HOME/gatehouse/config.yaml)")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml", "json")
}

// formatFlag adds --format to a command that lists or checks something.
func (a *app) formatFlag(cmd *cobra.Command) {
	a.format = "text"
	cmd.Flags().Var(&oneOf{value: &a.format, allowed: []string{"text", "json"}}, "format", "`FORMAT` of the output: text, or json with one value a line")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// oneOf is a flag with a closed set of values.
type oneOf struct {
	value   *string
	allowed []string
}

func (o *oneOf) String() string { return *o.value }
func (o *oneOf) Type() string   { return "string" }

func (o *oneOf) Set(s string) error {
	for _, v := range o.allowed {
		if s == v {
			*o.value = s
			return nil
		}
	}
	return fmt.Errorf("must be %s", strings.Join(o.allowed, " or "))
}

// configFile returns the path of the configuration.
func (a *app) configFile() (string, error) {
	if a.configPath != "" {
		return a.configPath, nil
	}
	folder := a.xdg("XDG_CONFIG_HOME", ".config")
	if folder == "" {
		return "", &exit{exitUsage, errors.New("neither XDG_CONFIG_HOME nor HOME is set: name the configuration with --config FILE")}
	}
	path := filepath.Join(folder, "gatehouse", "config.yaml")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", &exit{exitUsage, fmt.Errorf("there is no configuration at %s: write one, or name another with --config FILE ('gatehouse --help' shows an example)", path)}
	}
	return path, nil
}

// xdg returns a folder of the XDG base directory specification; empty when
// the environment names none. A relative path is to be ignored.
func (a *app) xdg(name, inHome string) string {
	if v, _ := a.lookup(name); filepath.IsAbs(v) {
		return v
	}
	home, _ := a.lookup("HOME")
	if home == "" && runtime.GOOS == "windows" {
		home, _ = a.lookup("USERPROFILE")
	}
	if home == "" {
		return ""
	}
	return filepath.Join(home, filepath.FromSlash(inHome))
}

// faults returns the faults of a file in err, if that is what it holds.
func faults(err error) []*config.Fault {
	var out []*config.Fault
	if f, ok := err.(*config.Fault); ok { //nolint:errorlint // the parts of a joined error are walked one by one
		return []*config.Fault{f}
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // as above
		for _, e := range j.Unwrap() {
			out = append(out, faults(e)...)
		}
	}
	return out
}

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/gatehouse-mcp/gatehouse/secrets/scan"
)

func (a *app) scanCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scan",
		Short: "Look for what should not be there",
		Args:  commandAlone,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.scanSecretsCommand())
	return cmd
}

func (a *app) scanSecretsCommand() *cobra.Command {
	var all bool
	var rules []string
	cmd := &cobra.Command{
		Use:   "secrets [FILE...|-]",
		Short: "Find secrets in lines of JSON or text",
		Long: `Find secrets in lines of JSON or text, from files or standard input: every line
is one JSON value, or plain text. For each line with a finding a line of JSON is
printed; it never holds the secret:

  {"line":1,"findings":[{"rule":"…","path":"$.arguments.token","start":24,"end":64,"severity":"high"}]}

path is where in the JSON the secret is, empty for text; start and end are
bytes of the line, counted from 0. With several files, each line names its file.

Ends with 1 when something was found, with 2 when a file cannot be read.`,
		Example: "  gatehouse scan secrets calls.jsonl\n  some-command | gatehouse scan secrets --all -",
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := scanner(rules)
			if err != nil {
				return &exit{exitUsage, err}
			}
			return a.scanSecrets(s, args, all)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "print a line for every line of the input")
	cmd.Flags().StringArrayVar(&rules, "rules", nil, "more rules from `FILE` (TOML, as gitleaks has them); can be repeated")
	return cmd
}

// scanner makes a scanner of the built-in rules and those of files.
func scanner(files []string) (*scan.Scanner, error) {
	rules := scan.Default()
	for _, name := range files {
		more, err := readRules(name)
		if err != nil {
			return nil, err
		}
		rules = append(rules, more...)
	}
	if len(files) == 0 {
		rules = nil
	}
	return scan.New(&scan.Options{Rules: rules})
}

func readRules(name string) ([]scan.Rule, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rules, err := scan.ReadRules(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return rules, nil
}

// scannedLine is a line of the output.
type scannedLine struct {
	File     string        `json:"file,omitempty"`
	Line     int           `json:"line"`
	Findings []foundSecret `json:"findings"`
}

type foundSecret struct {
	Rule     string `json:"rule"`
	Path     string `json:"path"`
	Start    int    `json:"start"`
	End      int    `json:"end"`
	Severity string `json:"severity"`
}

func (a *app) scanSecrets(s *scan.Scanner, files []string, all bool) error {
	if len(files) == 0 {
		files = []string{"-"}
	}
	out := bufio.NewWriter(a.out)
	lines, failed := 0, []error(nil)
	for _, name := range files {
		in, label := a.in, ""
		if name != "-" {
			f, err := os.Open(name)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			in = f
			defer f.Close()
		}
		if len(files) > 1 {
			label = name
		}
		n, err := scanLines(s, in, out, label, all)
		lines += n
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
		}
	}
	if err := out.Flush(); err != nil {
		failed = append(failed, err)
	}
	switch {
	case len(failed) > 0:
		return &exit{exitUsage, errors.Join(failed...)}
	case lines > 0:
		return &exit{exitFound, fmt.Errorf("secrets were found in %s", count(lines, "line"))}
	}
	return nil
}

// maxScanLine bounds one line of the input in bytes.
const maxScanLine = 256 << 20

// scanLines scans what r has, line by line, and returns in how many something
// was found.
func scanLines(s *scan.Scanner, r io.Reader, out *bufio.Writer, file string, all bool) (int, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	var long []byte
	var found []scan.Finding
	lines := 0
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long[:0], line...)
			for errors.Is(err, bufio.ErrBufferFull) && len(long) <= maxScanLine {
				line, err = in.ReadSlice('\n')
				long = append(long, line...)
			}
			if len(long) > maxScanLine {
				return lines, fmt.Errorf("line %d is longer than %d bytes", n, maxScanLine)
			}
			line = long
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return lines, err
		}
		if len(line) == 0 && err != nil {
			return lines, nil
		}
		line = bytes.TrimRight(line, "\r\n")
		found = s.Scan(found[:0], line)
		if len(found) > 0 {
			lines++
		}
		if len(found) > 0 || all {
			o := scannedLine{File: file, Line: n, Findings: make([]foundSecret, 0, len(found))}
			for _, f := range found {
				o.Findings = append(o.Findings, foundSecret{f.Rule, f.Path, f.Start, f.End, f.Severity.String()})
			}
			if err := enc.Encode(o); err != nil {
				return lines, err
			}
		}
		if err != nil {
			return lines, nil
		}
	}
}

//go:build !linux

package main

import "errors"

func tools() map[string]tool { return nil }

func act(string, []string) error { return errors.New("it runs on Linux only") }

func attempt(string, arguments) (string, error) { return "", errors.New("it runs on Linux only") }

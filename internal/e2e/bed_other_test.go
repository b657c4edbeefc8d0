//go:build e2e && !linux

package e2e

import "errors"

func enter() (leave func() error, err error) {
	return nil, errors.New("the end-to-end tests run on Linux")
}

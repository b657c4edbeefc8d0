//go:build !(e2e && linux)

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "confined: this benchmark runs on Linux with the build tag e2e: go run -tags e2e ./internal/bench/confined")
	os.Exit(2)
}

package config_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/gateway/config"
	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/process"
)

// A program brings the drivers that its files may name, its own interceptors
// included.
func ExampleLoad() {
	type options struct {
		Servers []string `doc:"The servers that nobody may call."`
	}
	kinds := &config.Kinds{
		Runtimes: map[string]config.Factory[runtime.Runtime]{
			"process": config.FactoryOf(func(_ context.Context, o *process.Options) (runtime.Runtime, error) {
				return process.New(o), nil
			}),
		},
		Interceptors: map[string]config.Factory[interceptor.Interceptor]{
			"lock": config.FactoryOf(func(_ context.Context, o *options) (interceptor.Interceptor, error) {
				deny := interceptor.Func(func(context.Context, *interceptor.Call, interceptor.Handler) (*interceptor.Result, error) {
					return nil, interceptor.Denyf("this server is locked")
				})
				return interceptor.When(interceptor.Selector{Servers: o.Servers}, deny), nil
			}),
		},
		Plain: "process",
	}

	folder, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "gatehouse.yaml")
	text := "servers:\n  files: {command: [mcp-server-files, /srv]}\ninterceptors: [{lock: {servers: [files]}}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		log.Fatal(err)
	}

	cfg, err := config.Load(context.Background(), file, kinds)
	if err != nil {
		log.Fatal(err)
	}
	defer cfg.Close()
	gw, err := gateway.New(cfg.Options)
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	for _, s := range cfg.Servers {
		fmt.Printf("%s: %s %s, tools %s__*\n", s.Name, s.Kind, s.Target, s.Prefix)
	}
	// Output: files: command mcp-server-files, tools files__*
}

// Every fault of a file is reported, with its place.
func ExampleFault() {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "gatehouse.yaml")
	if err := os.WriteFile(file, []byte("lisen: x\nservers: {a: {}}\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	_, err = config.Load(context.Background(), file, nil)
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		log.Fatal(err)
	}
	for _, err := range joined.Unwrap() {
		var f *config.Fault
		if errors.As(err, &f) {
			fmt.Printf("line %d, %s: %s\n", f.Line, f.Key, f.Message)
		}
	}
	// Output:
	// line 1, lisen: unknown key; did you mean "listen"?
	// line 2, servers.a: one of command, url and image is needed
}

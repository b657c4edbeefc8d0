package containerd_test

import (
	"fmt"
	"os"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/containerd"
)

// New does not connect, so that a Spec can be checked without containerd.
func ExampleNew() {
	state, err := os.MkdirTemp("", "gatehouse-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(state)
	rt, err := containerd.New(state, &containerd.Options{RequireClass: "gvisor"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rt.Close()
	fmt.Println(rt.Check(runtime.Spec{Image: "docker.io/mcp/time:1.0", Class: "kata"}))
	fmt.Println(rt.Check(runtime.Spec{Image: "docker.io/mcp/time:1.0"}))
	// Output:
	// containerd: class "kata": the operator requires "gvisor"
	// <nil>
}

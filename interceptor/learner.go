package interceptor

import "github.com/gatehouse-mcp/gatehouse/secrets"

// Learner is the optional interface of an [Interceptor] that has to know the
// secrets that the gateway hands out, such as one that looks for them in
// messages.
type Learner interface {
	// Learn is told a secret before it is handed to a server, and again when
	// its value has changed. keys are the names that it goes by: its own in
	// its provider, and that of the environment variable or header that it
	// is put into. It is called concurrently with calls, is quick, and never
	// lets the value show.
	Learn(s secrets.Secret, keys ...string)
}

// Learners returns the learners among the interceptors, and those inside
// [When], [Monitor], [Contain] and other [Wrapper]s.
func Learners(is ...Interceptor) []Learner {
	var all []Learner
	for _, i := range is {
		if l, ok := i.(Learner); ok {
			all = append(all, l)
		}
		if w, ok := i.(Wrapper); ok {
			all = append(all, Learners(w.Unwrap()...)...)
		}
	}
	return all
}

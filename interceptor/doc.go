// Package interceptor is the one extension point of the gateway: what every
// message of the protocol passes, in both directions.
//
// An [Interceptor] gets a [Call] and the rest of the chain. It may pass the
// call on, change it first, change the result, answer by itself, ask the
// client, or deny. The same chain sees requests and notifications, lists and
// reads, what clients send and what servers send: there is no way round it.
//
//	noDrop := interceptor.Before(interceptor.ToolsCall,
//		func(ctx context.Context, c *interceptor.Call, p *mcp.CallToolParams) error {
//			if c.Server == "sql" && dropTable.MatchString(c.Arg("query").String()) {
//				return interceptor.Denyf("DROP TABLE is not allowed here")
//			}
//			return nil
//		})
//
// # Writing one
//
// The short way is [Before], [After] or [Around] with a [Method] value, which
// give a typed view of the params or the result. The view never fails on what
// it does not know, and only what was edited in it is changed in the message:
// unknown fields, unknown content types and the digits of large integers stay
// as they were sent. The general way is [Func]: raw JSON, every method.
//
// Arguments of tools are best read with [Call.Arg] and changed with
// [Call.SetArg]: both are exact, and deny a call whose arguments could be
// read in two ways.
//
// # Putting them together
//
// [Wrap] makes a chain; the first listed is the outermost: it sees a request
// first and its result last. [When] restricts interceptors to some calls,
// [Monitor] reports what one would have done and lets the call pass,
// [Contain] bounds the time of one and says whether its failure denies.
//
// # Failure
//
// Whatever goes wrong in an interceptor denies the call: an error, a panic, a
// timeout, a result that is missing. [Contain] with FailOpen is the one
// exception, and has to be asked for.
//
// # Lists
//
// An interceptor that is an [ItemFilter] too decides about each item of the
// lists. Its decisions are kept for all callers that it does not tell apart,
// and what it hides cannot be called either.
package interceptor

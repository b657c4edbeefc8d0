package admin

// Listeners lets tests listen without a request.
func Listeners(f *Feed) (queue <-chan Event, end func()) { return f.listen() }

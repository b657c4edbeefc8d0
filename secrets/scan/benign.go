package scan

import "bytes"

// benignValue says of a value that it is no secret, whatever rule found it:
// a placeholder, a reference to a secret kept elsewhere, a mask, or an example
// that documentation prints.
func benignValue(s []byte) bool {
	s = bytes.TrimSpace(s)
	if len(s) < 3 || len(s) >= 4 && distinct(s) <= 2 || len(s) >= 12 && distinct(s) <= 3 {
		return true
	}
	return template(s) || masked(s) || placeholder(s)
}

// template says whether s is, or starts with, a reference that something else
// fills in.
func template(s []byte) bool {
	switch s[0] {
	case '$':
		if len(s) > 1 && (s[1] == '{' || s[1] == '(' || s[1] == '[' || s[1] == '$') {
			return true
		}
		if reference(s[1:]) {
			return true
		}
	case '<', '[', '{':
		if last := s[len(s)-1]; last == '>' || last == ']' || last == '}' {
			return true
		}
		if s[0] == '<' && bytes.IndexByte(s, '>') > 0 {
			return true
		}
	case '%':
		if len(s) > 2 && s[len(s)-1] == '%' && reference(s[1:len(s)-1]) || len(s) <= 3 || s[1] == '(' || s[1] == '{' {
			return true
		}
	case '@':
		if bytes.HasPrefix(s, []byte("@@")) || bytes.HasPrefix(s, []byte("@{")) {
			return true
		}
	case '_':
		if len(s) > 4 && bytes.HasPrefix(s, []byte("__")) && bytes.HasSuffix(s, []byte("__")) {
			return true
		}
	}
	for _, mark := range templateMarks {
		if bytes.Contains(s[:min(len(s), 512)], mark) {
			return true
		}
	}
	var buf [24]byte
	head := lower(buf[:0], s[:min(len(s), 24)])
	for _, p := range referencePrefixes {
		if bytes.HasPrefix(head, p) {
			return true
		}
	}
	return false
}

// reference says whether s is a name of a variable: capitals, digits and
// underscores, or lower case letters alone.
func reference(s []byte) bool {
	c := classesOf(s)
	for _, b := range s {
		if !isAlnum(b) && b != '_' && b != '.' {
			return false
		}
	}
	return len(s) > 1 && isLetter(s[0]) && (c.lower == 0 || c.upper == 0 && c.digit == 0 || wordy(s))
}

var templateMarks = list("${", "$(", "{{", "}}", "<%", "%>", "#{", "%{", "<<", "process.env", "os.environ", "getenv(", "[redacted", "<redacted", "<your", "<insert", "<api", "<token", "<secret", "<password")

var referencePrefixes = list("secret://", "op://", "vault://", "vault:", "ref+", "sm://", "ssm://", "ssm:", "arn:aws", "env:", "env.", "env[", "file:", "keyring:", "keychain:", "gcp://", "awssm://", "azurekeyvault", "@microsoft.keyvault", "projects/", "bao://", "doppler://", "secrets.", "var.", "data.", "local.", "module.", "self.", "this.", "config.", "os.env", "system.getenv", "import.meta", "deno.env", "bun.env", "$env:", "!ref", "!sub", "!getatt", "fn::", "{resolve:", "resolve:")

// masked says whether most of s is hidden.
func masked(s []byte) bool {
	run := 0
	for i, b := range s[:min(len(s), 512)] {
		if i > 0 && b|0x20 == s[i-1]|0x20 && (b == '*' || b == '.' || b|0x20 == 'x' || b == '#' || b == '?' || b == '_' || b == '-') {
			run++
			if run >= 3 && len(s) < 200 || run >= 7 {
				return b != '-' || run >= 7
			}
		} else {
			run = 0
		}
	}
	return bytes.Contains(s[:min(len(s), 512)], []byte("...")) || bytes.Contains(s[:min(len(s), 512)], []byte("…")) || bytes.Contains(s[:min(len(s), 512)], []byte("•"))
}

// examples stand in no secret that a machine made.
var examples = list("example", "placeholder", "changeme", "change_me", "change-me", "change_this", "changethis", "change-this", "replaceme", "replace_me", "replace-me", "replace_with", "replace-with", "replacewith",
	"your_", "your-", "yourapi", "yourtoken", "yoursecret", "yourpass", "yourkey", "youraccess", "yourclient", "yourpersonal", "yourreal", "yourown", "yourstrong", "your.",
	"insert_", "insert-", "insertyour", "redacted", "notreal", "not-real", "not_real", "not-a-real", "not_a_real", "notareal", "not-a-secret", "notasecret", "not_a_secret", "dummy", "deadbeef", "lorem", "foobar", "thisisa", "this-is-a", "this_is_a", "thisismy", "this-is-my", "this_is_my", "generate_", "put_your", "enter_your", "enter-your", "my_secret", "my-secret", "mysecret", "my_token", "my-token", "mytoken", "my_api", "my-api", "myapi", "my_password", "my-password", "mypassword", "some_secret", "some-secret", "somesecret", "some_token", "some-token", "sometoken", "super_secret", "super-secret", "supersecret", "topsecret", "top-secret", "top_secret", "test_token", "test-token", "testtoken", "test_key", "test-key", "testkey", "test_secret", "test-secret", "testsecret", "test_password", "testpassword", "test-password", "fake_", "fake-", "faketoken", "fakekey", "fakesecret", "sample_", "sample-", "sampletoken", "samplekey", "_here", "-here", "goes-here", "goeshere", "tokenhere", "keyhere", "secrethere", "1234567890", "0123456789", "abcdefgh", "qwertyuiop", "abc123", "123abc", "a1b2c3", "todo", "fixme", "tbd_", "iosfodnn7", "wjalrxutnfemi", "je7mtgbclwbf", "null", "undefined", "none_", "no_secret", "xxx", "user:pass", "unused", "n/a", "omitted", "hidden", "censored", "scrubbed", "sanitized", "filtered", "truncated", "invalid")

// placeholder says whether s holds a word that stands for a secret. In long
// values only words that chance does not write count.
func placeholder(s []byte) bool {
	if len(s) > 512 {
		return false
	}
	var buf [512]byte
	l := lower(buf[:0], s)
	for _, w := range examples {
		i := bytes.Index(l, w)
		if i < 0 {
			continue
		}
		if len(w) >= 7 || len(l) <= 40 && len(w) >= 5 || border(s, i, i+len(w)) {
			return true
		}
	}
	return false
}

// border says whether s[i:j] stands alone: no letter goes on before or after.
func border(s []byte, i, j int) bool {
	return (i == 0 || !isAlnum(s[i-1]) || !isAlnum(s[i])) && (j == len(s) || !isAlnum(s[j]) || !isAlnum(s[j-1]))
}

// weak are passwords that documentation prints and that hide nothing.
var weak = set("password", "passwd", "passw0rd", "passw0rd1", "pass1", "pass2", "p4ssw0rd", "p@ssw0rd", "p@ssword", "pa55word", "pa$$word", "pa$$w0rd", "password1", "password12", "password123", "password1234", "pass", "pass123", "pass1234", "pwd", "pwd123", "passphrase",
	"secret", "secret1", "secret123", "s3cr3t", "s3cret", "secr3t", "admin", "admin1", "admin123", "admin1234", "administrator", "root", "root123", "toor", "test", "test1", "test12", "test123", "test1234", "testing", "testing123", "guest", "user", "user1", "user123", "username", "demo", "demo123", "default", "postgres", "postgres123", "mysql", "redis", "mongo", "mongodb", "rabbitmq", "minio", "minioadmin", "minio123", "elastic", "grafana", "oracle", "tiger", "sa", "changeit", "changeme", "letmein", "welcome", "welcome1", "welcome123", "qwerty", "qwerty123", "abc123", "123456", "1234567", "12345678", "123456789", "1234", "12345", "foo", "bar", "foo123", "bar123", "foobar", "baz", "hello", "hello123", "world", "string", "text", "hidden", "required", "optional", "true", "false", "null", "none", "nil", "undefined", "empty", "token", "key", "apikey", "value", "xxx", "xxxx", "example", "sample", "temp", "temp123", "tmp", "dbpass", "dbpassword", "db_password", "dbpwd", "mypass", "mypass123", "mypassword", "mypassword123", "yourpassword", "thepassword", "userpass", "userpassword", "somepassword", "newpassword", "oldpassword", "my_password", "credentials", "login", "basic", "bearer", "app", "dev", "prod", "local", "localhost", "docker", "vagrant", "ansible", "jenkins", "sha256", "md5", "base64", "utf8", "utf-8", "argon2id", "bcrypt", "plaintext", "oauth2", "sso", "s3cr3tp4ss", "strongpassword", "securepassword", "supersecret", "verysecret", "topsecret", "abcd1234", "abc12345", "1q2w3e4r", "passpass", "pw", "pw123", "x-access-token")

func weakPassword(s []byte) bool {
	if len(s) > 24 {
		return false
	}
	var buf [24]byte
	l := lower(buf[:0], s)
	if _, ok := weak[string(l)]; ok {
		return true
	}
	// secret2, test-1
	n := len(l)
	for n > 0 && len(l)-n < 2 && isDigit(l[n-1]) {
		n--
	}
	if n < len(l) && n > 0 && (l[n-1] == '-' || l[n-1] == '_') {
		n--
	}
	_, ok := weak[string(l[:n])]
	return ok
}

// notSecretForm says whether s is a number, a date, a version, a path, an
// address, a call or a name in a program.
func notSecretForm(s []byte) bool {
	c := classesOf(s)
	if c.upper+c.lower == 0 && c.mark == 0 {
		return true
	}
	switch {
	case c.upper+c.lower <= 2 && dateOrVersion(s):
		return true
	case s[0] == '/' && (bytes.Count(s, []byte("/")) >= 2 && pathLike(s) || wordy(s)),
		bytes.HasPrefix(s, []byte("./")), bytes.HasPrefix(s, []byte("../")), bytes.HasPrefix(s, []byte("~/")),
		len(s) > 2 && s[1] == ':' && (s[2] == '\\' || s[2] == '/'):
		return true
	case bytes.Contains(s, []byte("://")),
		bytes.HasPrefix(s, []byte("data:")), bytes.HasPrefix(s, []byte("urn:")), bytes.HasPrefix(s, []byte("sha256")), bytes.HasPrefix(s, []byte("sha1")), bytes.HasPrefix(s, []byte("sha512")), bytes.HasPrefix(s, []byte("md5")),
		bytes.HasPrefix(s, []byte("ssh-")), bytes.HasPrefix(s, []byte("ecdsa-sha2")), bytes.HasPrefix(s, []byte("AAAAB3Nza")), bytes.HasPrefix(s, []byte("AAAAC3Nza")), bytes.HasPrefix(s, []byte("-----BEGIN")), bytes.HasPrefix(s, []byte("MIIBIjAN")), bytes.HasPrefix(s, []byte("MFkwEwYHKoZI")), bytes.HasPrefix(s, []byte("MCowBQYDK2V")), bytes.HasPrefix(s, []byte("MHYwEAYHKoZI")), bytes.HasPrefix(s, []byte("LS0tLS1CRUdJTiBDRVJU")), bytes.HasPrefix(s, []byte("LS0tLS1CRUdJTiBQVUJM")),
		bytes.HasPrefix(s, []byte("pk_")), bytes.HasPrefix(s, []byte("pk.")), bytes.HasPrefix(s, []byte("pub_")), bytes.HasPrefix(s, []byte("age1")),
		bytes.HasPrefix(s, []byte("ENC[")), bytes.HasPrefix(s, []byte("$ANSIBLE_VAULT")), len(s) > 200 && bytes.HasPrefix(s, []byte("Ag")) /* encrypted */, bytes.HasPrefix(s, []byte("sb_publishable_")), bytes.HasPrefix(s, []byte("phc_")), bytes.HasPrefix(s, []byte("iVBORw0KGgo")), bytes.HasPrefix(s, []byte("/9j/")), bytes.HasPrefix(s, []byte("R0lGOD")):
		return true
	}
	if i := bytes.IndexByte(s, '('); i > 0 && bytes.IndexByte(s[i:], ')') > 0 && identifier(s[:i]) && wordy(s[:i]) {
		return true
	}
	if i := bytes.LastIndexByte(s, '.'); i > 0 && (len(s)-i <= 6 && fileEnding(s[i+1:]) || len(s) < 48 && len(s)-i > 4 && identifier(s) && isLetter(s[0]) && wordy(s[i+1:])) {
		return true // a file, a member of a package
	}
	if len(s) < 34 && s[0] == '0' && len(s) > 2 && s[1] == 'x' {
		return true // a number
	}
	if bytes.HasPrefix(s, []byte("http")) && bytes.Contains(s, []byte(".")) && wordy(s) {
		return true
	}
	if i := bytes.IndexByte(s, '@'); i > 0 && bytes.IndexByte(s[i:], '.') > 0 && identifier(s[:i]) && identifier(s[i+1:]) {
		return true // an address of mail
	}
	return false
}

func identifier(s []byte) bool {
	for _, b := range s {
		if !isAlnum(b) && b != '_' && b != '.' && b != '-' && b != '$' && b != ':' && b != '>' {
			return false
		}
	}
	return len(s) > 0
}

func pathLike(s []byte) bool {
	for _, b := range s {
		if b == '+' || b == '=' {
			return false
		}
	}
	first, _, _ := bytes.Cut(s[1:], []byte("/"))
	if c := classesOf(first); c.upper == 0 && c.lower > 0 && c.digit < 2 && len(first) <= 24 && bytes.Count(s, []byte("/")) > 2 {
		return true // /v1/orders/…
	}
	return len(s) < 20 || wordy(first) || len(first) <= 4 && wordy(s)
}

// dateOrVersion accepts digits with - : . / T Z + between them.
func dateOrVersion(s []byte) bool {
	for _, b := range s {
		if !isDigit(b) && b != '-' && b != ':' && b != '.' && b != '/' && b != 'T' && b != 'Z' && b != '+' && b != 'v' && b != ',' && b != '_' && b != ' ' {
			return false
		}
	}
	return true
}

var fileEndings = set("pem", "key", "crt", "cer", "json", "yaml", "yml", "txt", "toml", "env", "ini", "conf", "cfg", "xml", "html", "md", "js", "mjs", "ts", "tsx", "jsx", "py", "go", "rb", "java", "php", "sh", "png", "jpg", "jpeg", "svg", "gif", "css", "p12", "pfx", "jks", "pub", "asc", "gpg", "csv", "log", "sql", "db", "lock", "map", "com", "org", "net", "io", "dev", "app", "local", "svc")

func fileEnding(s []byte) bool {
	var buf [8]byte
	_, ok := fileEndings[string(lower(buf[:0], s))]
	return ok
}

// isUUID says whether s is a UUID, in braces or not.
func isUUID(s []byte) bool {
	s = bytes.Trim(s, "{}")
	if len(s) != 36 {
		return false
	}
	for i, b := range s {
		switch i {
		case 8, 13, 18, 23:
			if b != '-' {
				return false
			}
		default:
			if !isDigit(b) && (b|0x20 < 'a' || b|0x20 > 'f') {
				return false
			}
		}
	}
	return true
}

// isAddress says whether s is an account of Ethereum: public, whatever its
// key is called. Sixty-four digits may be a private key.
func isAddress(s []byte) bool {
	return len(s) == 42 && s[0] == '0' && s[1] == 'x'
}

// ordered says whether s runs through the alphabet or the digits, or repeats
// a short piece of itself.
func ordered(s []byte) bool {
	s = s[:min(len(s), 128)]
	if len(s) < 6 {
		return false
	}
	steps := 0
	for i := 1; i < len(s); i++ {
		if d := int(s[i]|0x20) - int(s[i-1]|0x20); d == 1 || d == -1 || d == 0 {
			steps++
		}
	}
	if steps*2 > len(s)-1 {
		return true
	}
	for n := 1; n <= 20 && n*2 <= len(s); n++ {
		same := 0
		for i := n; i < len(s); i++ {
			if s[i] == s[i-n] {
				same++
			}
		}
		if same >= (len(s)-n)*9/10 {
			return true
		}
	}
	return false
}

// wordy says whether most of s is words: runs of letters that can be spoken,
// in one case or with a capital first. Random characters change between
// cases, digits and letters too often for that.
func wordy(s []byte) bool {
	if len(s) > 256 {
		return false
	}
	alnum, digits, inWords, pieces := 0, 0, 0, 0
	for i := 0; i < len(s); {
		if !isLetter(s[i]) {
			if isDigit(s[i]) {
				alnum++
				digits++
			}
			i++
			continue
		}
		j := i + 1
		if isUpper(s[i]) && j < len(s) && isUpper(s[j]) {
			for j < len(s) && isUpper(s[j]) {
				j++
			}
			if j < len(s) && isLetter(s[j]) && j-i > 2 {
				j-- // HTTPServer: the last capital starts the next word
			}
		} else {
			for j < len(s) && isLetter(s[j]) && !isUpper(s[j]) {
				j++
			}
		}
		alnum += j - i
		pieces++
		if spoken(s[i:j]) {
			inWords += j - i
		}
		i = j
	}
	if pieces >= 5 && alnum < pieces*3 {
		return false // words are longer
	}
	if digits == 0 {
		return alnum > 0 && inWords*5 >= alnum*3
	}
	return inWords*4 >= alnum*3
}

func isUpper(b byte) bool { return b >= 'A' && b <= 'Z' }

// spoken says whether letters can be a word: three or more, vowels in it, and
// no long run of consonants or vowels.
func spoken(s []byte) bool {
	if len(s) < 3 {
		return false
	}
	vowels, run, consonants := 0, 0, 0
	for _, b := range s {
		switch b | 0x20 {
		case 'a', 'e', 'i', 'o', 'u', 'y':
			vowels++
			run++
			consonants = 0
			if run > 3 {
				return false
			}
		default:
			consonants++
			run = 0
			if consonants > 4 {
				return false
			}
		}
	}
	return vowels*5 >= len(s) && vowels*4 <= len(s)*3
}

// benignKeys end the folded name of a key whose value is public or means
// nothing alone, although it also ends like a secret's name.
var benignKeys = list("nexttoken", "pagetoken", "nextpagetoken", "previouspagetoken", "prevpagetoken", "prevtoken", "continuationtoken", "continuetoken", "cursortoken", "synctoken", "nextsynctoken", "startpagetoken", "newstartpagetoken", "paginationtoken", "resumetoken", "skiptoken", "deltatoken", "nextpage", "csrftoken", "xsrftoken", "csrfmiddlewaretoken", "requestverificationtoken", "authenticitytoken", "idempotencytoken", "clientrequesttoken", "changetoken", "progresstoken", "canceltoken", "cancellationtoken", "canceledtoken", "publictoken", "devicetoken", "maxtoken", "stoptoken", "eostoken", "bostoken", "padtoken", "unktoken", "septoken", "masktoken", "clstoken", "tasktoken", "locktoken", "fencingtoken", "leasetoken", "versiontoken", "nexttokenkey", "locationtoken", "positiontoken", "subresourcetoken", "publickey", "publishablekey", "sitekey", "anonkey", "partitionkey", "sortkey", "primarykeyid", "tokentype", "tokenid", "secretname", "secretid", "secretarn", "passwordpolicy", "placetoken", "placeskey", "previoustoken", "uploadtoken", "searchtoken", "scrolltoken", "watchtoken", "pkcechallenge", "beforetoken", "aftertoken", "starttoken", "endtoken", "nextkey", "lastkey", "markertoken", "nextforwardtoken", "nextbackwardtoken", "cryptotoken", "basetoken", "quotetoken", "intoken", "outtoken", "sourcetoken", "targettoken", "contracttoken", "nativetoken")

// benignKey says of the folded name of a key (letters and digits only, lower
// case) that what it names is no secret.
func benignKey(name []byte) bool {
	for _, k := range benignKeys {
		if bytes.HasSuffix(name, k) {
			return true
		}
	}
	return false
}

func list(words ...string) [][]byte {
	l := make([][]byte, len(words))
	for i, w := range words {
		l[i] = []byte(w)
	}
	return l
}

func set(words ...string) map[string]struct{} {
	m := make(map[string]struct{}, len(words))
	for _, w := range words {
		m[w] = struct{}{}
	}
	return m
}

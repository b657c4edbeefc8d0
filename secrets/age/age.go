package age

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/gatehouse-mcp/gatehouse/internal/document"
	"github.com/gatehouse-mcp/gatehouse/internal/safefile"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// Options changes how [New] reads and writes a file.
type Options struct {
	// Recipients are the public keys (age1…) for which the file is
	// encrypted when it is changed, beside the identity's own.
	Recipients []string

	// Format is dotenv, json, yaml or plain. Empty: by the file's name
	// without .age; .json, .yaml and .yml say it, .env, .env.NAME and
	// NAME.env are dotenv, every other is plain.
	Format string

	// WorldReadable accepts an identity that everybody on this machine may
	// read.
	WorldReadable bool
}

// File is a provider of the secrets in one encrypted file. It is safe for
// concurrent use.
type File struct {
	s          document.Stored
	identity   string
	rule       safefile.Rule // of the identity
	recipients []age.Recipient
}

var (
	_ secrets.Provider = (*File)(nil)
	_ secrets.Lister   = (*File)(nil)
	_ secrets.Store    = (*File)(nil)
)

// New makes a provider of an encrypted file, which need not be there yet, and
// the file of the identity that opens it.
func New(path, identity string, o *Options) (*File, error) {
	if o == nil {
		o = new(Options)
	}
	f := &File{identity: identity, rule: safefile.UserOrGroup}
	f.s = document.Stored{Path: path, Format: document.Format(o.Format), Open: f.open, Seal: f.seal}
	switch err := f.s.Format.Check(); {
	case path == "":
		return nil, errors.New("the path of the encrypted file is empty")
	case identity == "":
		return nil, errors.New("the path of the identity is empty: make one with age-keygen -o key.txt")
	case err != nil:
		return nil, err
	}
	if f.s.Format == "" {
		f.s.Format = document.FormatOf(strings.TrimSuffix(path, ".age"))
	}
	if o.WorldReadable {
		f.rule = safefile.Anybody
	}
	for n, text := range o.Recipients {
		if strings.ContainsAny(text, "\r\n") {
			text = "" // ParseRecipients would take it for several
		}
		r, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil || len(r) != 1 { // the error may show the text, which may be a private key by mistake
			return nil, fmt.Errorf("recipient %d is no public key of age: write age1…, as age-keygen prints it", n+1)
		}
		f.recipients = append(f.recipients, r[0])
	}
	return f, nil
}

// Resolve implements [secrets.Provider].
func (f *File) Resolve(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	return f.s.Resolve(ctx, ref)
}

// List implements [secrets.Lister]. A file that is not there has none.
func (f *File) List(ctx context.Context) ([]secrets.Ref, error) { return f.s.List(ctx) }

// Set implements [secrets.Store]. The folder that the file is in must be
// there.
func (f *File) Set(ctx context.Context, ref secrets.Ref, s secrets.Secret) error {
	return f.s.Set(ctx, ref, s)
}

// Remove implements [secrets.Store]. The file stays, also without secrets.
func (f *File) Remove(ctx context.Context, ref secrets.Ref) error { return f.s.Remove(ctx, ref) }

// identities reads the private keys.
func (f *File) identities() ([]age.Identity, error) {
	data, err := safefile.Read(f.identity, f.rule)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no identity %s: make one with age-keygen -o %[1]s", f.identity)
	}
	if err != nil {
		return nil, err
	}
	ids, err := age.ParseIdentities(bytes.NewReader(data))
	switch { // the parser's error may show what stands there
	case err == nil:
		return ids, nil
	case bytes.Contains(data, []byte("PRIVATE KEY-----")):
		return nil, fmt.Errorf("the identity %s is a key of SSH or TLS: use one of age-keygen", f.identity)
	case armored(data) || bytes.HasPrefix(data, []byte("age-encryption.org/")):
		return nil, fmt.Errorf("the identity %s is encrypted itself: decrypt it, and keep it from others by its mode", f.identity)
	}
	return nil, fmt.Errorf("the identity %s holds no line AGE-SECRET-KEY-…, or a broken one: use one of age-keygen", f.identity)
}

func armored(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(data), []byte(armor.Header))
}

// reader reads a file that may be armoured.
func reader(data []byte) io.Reader {
	if armored(data) {
		return armor.NewReader(bytes.NewReader(data))
	}
	return bytes.NewReader(data)
}

// open decrypts a file.
func (f *File) open(data []byte) ([]byte, error) {
	ids, err := f.identities()
	if err != nil {
		return nil, err
	}
	r, err := age.Decrypt(reader(data), ids...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, fmt.Errorf("it is encrypted for others than %s: encrypt it for its public key (age-keygen -y %[1]s shows it)", f.identity)
	}
	if err != nil { // it may show the content of a file that is not encrypted
		return nil, errors.New("it is no file of age, or damaged: encrypt it with age -e -i IDENTITY")
	}
	doc, err := io.ReadAll(io.LimitReader(r, safefile.MaxSize+1))
	if err != nil {
		return nil, errors.New("it is damaged, or not all of it is there")
	}
	if len(doc) > safefile.MaxSize {
		return nil, fmt.Errorf("it holds more than %d bytes", safefile.MaxSize)
	}
	return doc, nil
}

// seal encrypts a document for whom the file was, or nobody.
func (f *File) seal(old, doc []byte) ([]byte, error) {
	to, err := f.audience(old)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	var text io.WriteCloser
	dst := io.Writer(&out)
	if armored(old) {
		text = armor.NewWriter(&out)
		dst = text
	}
	w, err := age.Encrypt(dst, to...)
	if err != nil {
		return nil, fmt.Errorf("encrypting for %d recipients: %w", len(to), err)
	}
	if _, err := w.Write(doc); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if text != nil {
		if err := text.Close(); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// audience is for whom a file is encrypted next.
func (f *File) audience(old []byte) ([]age.Recipient, error) {
	ids, err := f.identities()
	if err != nil {
		return nil, err
	}
	mine, had := ids[0], 0
	if old != nil {
		header, err := age.ExtractHeader(reader(old))
		if err != nil {
			return nil, errors.New("its header is damaged")
		}
		for _, id := range ids {
			if _, err := age.DecryptHeader(header, id); err == nil {
				mine = id
				break
			}
		}
		had = stanzas(header)
	}
	own, err := recipient(mine)
	if err != nil {
		return nil, err
	}
	to := []age.Recipient{own}
	for _, r := range f.recipients {
		if fmt.Sprint(r) != fmt.Sprint(own) {
			to = append(to, r)
		}
	}
	if had > len(to) {
		return nil, fmt.Errorf("it is encrypted for %d recipients, and %d are known: name them all as recipients, so that none is locked out", had, len(to))
	}
	return to, nil
}

// stanzas counts for how many recipients a header is. What no reader knows may
// stand between ("grease", in the words of the format) and does not count.
func stanzas(header []byte) int {
	n := 0
	for line := range strings.Lines(string(header)) {
		if kind, ok := strings.CutPrefix(line, "-> "); ok {
			if kind, _, _ = strings.Cut(strings.TrimSpace(kind), " "); !strings.HasSuffix(kind, "-grease") {
				n++
			}
		}
	}
	return n
}

// recipient is the public key of an identity.
func recipient(id age.Identity) (age.Recipient, error) {
	switch id := id.(type) {
	case *age.X25519Identity:
		return id.Recipient(), nil
	case *age.HybridIdentity:
		return id.Recipient(), nil
	}
	return nil, errors.New("for this kind of identity nothing can be encrypted here")
}

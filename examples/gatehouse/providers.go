package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway/config"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	agefile "github.com/gatehouse-mcp/gatehouse/secrets/age"
	"github.com/gatehouse-mcp/gatehouse/secrets/command"
	"github.com/gatehouse-mcp/gatehouse/secrets/env"
	"github.com/gatehouse-mcp/gatehouse/secrets/file"
	"github.com/gatehouse-mcp/gatehouse/secrets/keyring"
	"github.com/gatehouse-mcp/gatehouse/secrets/vault"
)

// providers are the kinds of providers of secrets.
func (a *app) providers() map[string]config.Factory[secrets.Provider] {
	return map[string]config.Factory[secrets.Provider]{
		"env":     config.FactoryOf(a.environment),
		"file":    config.FactoryAt(a.secretFile),
		"folder":  config.FactoryAt(a.secretFolder),
		"age":     config.FactoryAt(a.ageFile),
		"keyring": config.FactoryOf(a.keyring),
		"vault":   config.FactoryAt(a.vault),
		"command": config.FactoryAt(a.command),
		"docker":  config.FactoryOf(a.dockerHelper),
	}
}

type environmentOptions struct {
	Prefix string `doc:"Stands before the name of every variable."`
}

// environment makes the provider of ${NAME}: the variables of this program.
// The configuration sees to it that only those which it names are asked for.
func (a *app) environment(_ context.Context, o *environmentOptions) (secrets.Provider, error) {
	return env.New(a.lookup, &env.Options{Prefix: o.Prefix}), nil
}

type fileOptions struct {
	Path          string `required:"true" doc:"The file, relative to this one: NAME=VALUE lines (.env), JSON, YAML, or one secret, which goes by the file's name."`
	Format        string `enum:"dotenv,json,yaml,plain" doc:"How the file is written, where its name does not say so."`
	WorldReadable bool   `doc:"Accept a file that everybody on this machine may read."`
}

func (a *app) secretFile(_ context.Context, site config.Site, o *fileOptions) (secrets.Provider, error) {
	return given(file.New(site.Path(o.Path), &file.Options{Format: o.Format, WorldReadable: o.WorldReadable}))
}

type folderOptions struct {
	Path string `required:"true" doc:"A folder of files that are one secret each, such as /run/secrets or a volume of Kubernetes, relative to this file."`
}

func (a *app) secretFolder(_ context.Context, site config.Site, o *folderOptions) (secrets.Provider, error) {
	return given(file.NewFolder(site.Path(o.Path)))
}

type ageOptions struct {
	Path          string   `required:"true" doc:"The encrypted file, relative to this one: NAME=VALUE lines, JSON, YAML, or one secret."`
	Identity      string   `required:"true" doc:"The file of the private key, as age-keygen makes it, relative to this one."`
	Recipients    []string `doc:"The public keys (age1…) for which the file is encrypted when it is changed, beside the identity's own."`
	Format        string   `enum:"dotenv,json,yaml,plain" doc:"How the content is written, where the file's name without .age does not say so."`
	WorldReadable bool     `doc:"Accept an identity that everybody on this machine may read."`
}

func (a *app) ageFile(_ context.Context, site config.Site, o *ageOptions) (secrets.Provider, error) {
	return given(agefile.New(site.Path(o.Path), site.Path(o.Identity), &agefile.Options{
		Recipients: o.Recipients, Format: o.Format, WorldReadable: o.WorldReadable,
	}))
}

type keyringOptions struct {
	Service string        `doc:"The service that the entries belong to [gatehouse]."`
	Timeout time.Duration `doc:"How long the keyring may take for an answer, which includes being unlocked [10s]."`
}

func (a *app) keyring(_ context.Context, o *keyringOptions) (secrets.Provider, error) {
	service := o.Service
	if service == "" {
		service = "gatehouse"
	}
	return given(keyring.New(service, &keyring.Options{Timeout: o.Timeout}))
}

type vaultOptions struct {
	Address    string         `required:"true" doc:"The URL of Vault or OpenBao: https://HOST:PORT."`
	Engine     string         `enum:"kv2,kv1,dynamic" doc:"What is asked: a KV engine [kv2], or any that makes credentials with a lease, by the whole path."`
	Mount      string         `doc:"Where the KV engine is mounted [secret]."`
	Namespace  string         `doc:"The namespace in which all paths are."`
	Token      secrets.Value  `doc:"A token; ${NAME} stands for a variable of the environment."`
	TokenFile  string         `doc:"A file with a token, such as that of an agent, relative to this one."`
	AppRole    *appRoleConfig `doc:"Logging in as a machine does, instead of a token."`
	CAFile     string         `doc:"The certificates of the authorities to trust instead of the system's, relative to this file."`
	ServerName string         `doc:"The name in the server's certificate, where it is not that of the address."`
	AllowHTTP  bool           `doc:"Allow http to a loopback address."`
	Timeout    time.Duration  `doc:"Bound for one request [10s]."`
}

type appRoleConfig struct {
	RoleID       secrets.Value `required:"true" doc:"The id of the role; ${NAME} stands for a variable of the environment."`
	SecretID     secrets.Value `doc:"The secret id; ${NAME} stands for a variable of the environment."`
	SecretIDFile string        `doc:"A file with the secret id, relative to this one."`
	Mount        string        `doc:"Where the method is mounted [approle]."`
}

func (a *app) vault(ctx context.Context, site config.Site, o *vaultOptions) (secrets.Provider, error) {
	var ways []string
	var auth vault.Auth
	if o.TokenFile != "" {
		ways, auth = append(ways, "tokenFile"), vault.TokenFile(site.Path(o.TokenFile))
	}
	if o.AppRole != nil {
		role, err := a.resolved(ctx, o.AppRole.RoleID)
		if err != nil {
			return nil, err
		}
		id, err := a.resolved(ctx, o.AppRole.SecretID)
		if err != nil {
			return nil, err
		}
		ways, auth = append(ways, "appRole"), vault.AppRole{
			RoleID: role.Reveal(), SecretID: id.Secret(), SecretIDFile: site.Path(o.AppRole.SecretIDFile), Mount: o.AppRole.Mount,
		}
	}
	token, err := a.resolved(ctx, o.Token)
	if err != nil {
		return nil, err
	}
	if token.Reveal() != "" {
		ways, auth = append(ways, "token"), vault.Token(token.Secret())
	}
	if len(ways) != 1 {
		return nil, fmt.Errorf("it needs one way to log in: token, tokenFile or appRole; it has %s", nothing(strings.Join(ways, " and ")))
	}
	return given(vault.New(o.Address, auth, &vault.Options{
		Engine: o.Engine, Mount: o.Mount, Namespace: o.Namespace, CAFile: site.Path(o.CAFile), ServerName: o.ServerName,
		AllowHTTP: o.AllowHTTP, Timeout: o.Timeout, Proxy: http.ProxyFromEnvironment, Logger: a.log,
	}))
}

func nothing(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

type commandOptions struct {
	Command   []string                 `required:"true" doc:"A program and its arguments, in which {path} and {field} stand for the parts of a reference: [op, read, \"op://{path}/{field}\"]."`
	Env       map[string]secrets.Value `doc:"Its environment beside PATH and HOME; ${NAME} stands for a variable of this program's."`
	Timeout   time.Duration            `doc:"Bound for one run [10s]."`
	Format    string                   `enum:"json,yaml,dotenv" doc:"How it prints several secrets, of which the field of a reference names one. Without it, it prints one."`
	FirstLine bool                     `doc:"Take the first line alone of what it prints."`
	NotFound  string                   `doc:"A text on its standard error that says that there is no such secret."`
}

func (a *app) command(ctx context.Context, site config.Site, o *commandOptions) (secrets.Provider, error) {
	variables, err := a.variables(ctx, o.Env)
	if err != nil {
		return nil, err
	}
	return given(command.New(o.Command, &command.Options{
		Env: variables, Dir: site.Dir, Timeout: o.Timeout, Format: o.Format, FirstLine: o.FirstLine, NotFound: o.NotFound,
	}))
}

type dockerOptions struct {
	Helper  string                   `required:"true" doc:"A credential helper of Docker: pass for docker-credential-pass, or a path."`
	Env     map[string]secrets.Value `doc:"Its environment beside PATH and HOME; ${NAME} stands for a variable of this program's."`
	Timeout time.Duration            `doc:"Bound for one run [10s]."`
}

func (a *app) dockerHelper(ctx context.Context, o *dockerOptions) (secrets.Provider, error) {
	variables, err := a.variables(ctx, o.Env)
	if err != nil {
		return nil, err
	}
	return given(command.NewDocker(o.Helper, &command.DockerOptions{Env: variables, Timeout: o.Timeout}))
}

// given returns what a constructor made as a provider, or its error alone.
func given[P secrets.Provider](p P, err error) (secrets.Provider, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

// resolved resolves what a provider itself needs. It can come from the
// environment alone: no provider waits for another.
func (a *app) resolved(ctx context.Context, v secrets.Value) (secrets.Value, error) {
	for _, ref := range v.Refs() {
		if strings.ContainsAny(string(ref), "/#") {
			return v, fmt.Errorf("secret://%s: a provider takes nothing from another: use ${NAME} of the environment", ref)
		}
	}
	return v.Resolve(ctx, env.New(a.lookup, nil))
}

// variables makes the environment of a provider's program.
func (a *app) variables(ctx context.Context, more map[string]secrets.Value) (map[string]secrets.Value, error) {
	all := make(map[string]secrets.Value)
	for name, v := range a.minimum() {
		all[name] = secrets.Plain(v)
	}
	for name, v := range more {
		var err error
		if all[name], err = a.resolved(ctx, v); err != nil {
			return nil, fmt.Errorf("env: %s: %w", name, err)
		}
	}
	return all, nil
}

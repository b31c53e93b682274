// This file is the command proxy: a sidecar by flags.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/oktaretry/oktaretry"
	debugpage "github.com/oktaretry/oktaretry/debug"
	"github.com/oktaretry/oktaretry/fleet"
	"github.com/oktaretry/oktaretry/policyfile"
	"github.com/oktaretry/oktaretry/sidecar"
)

// proxyFlags are the command's flags.
type proxyFlags struct {
	orgs, names         []string
	listen, admin       string
	policy, redis       string
	tokenFiles          []string
	clientID, keyFile   string
	keyID               string
	scopes              []string
	authToken           string
	cert, key, clientCA string
	grace, timeout      time.Duration
	maxConns            int
	logLevel            slog.Level
	logJSON             bool
}

func newProxy() *cobra.Command {
	var f proxyFlags
	cmd := &cobra.Command{
		Use:   "proxy --org https://acme.okta.com",
		Short: "Serve Okta to any language: a sidecar that survives rate limits and outages",
		Long: `proxy is a reverse proxy in front of an Okta org. Clients use it as the org's URL, or as
http_proxy for http://ORG. It waits out rate limits, repeats what may be repeated, and
makes the links in Okta's answers point back at itself.

It listens on the loopback interface only, unless clients must present a token
(--auth-token-file) or a certificate (--client-ca). Started by systemd with sockets, it
takes those in place of --listen (named "proxy", or the first) and --admin ("admin").

SIGHUP reads the policy and the token files again. SIGTERM stops: no connection is
accepted any more, and calls in flight and in line are finished within --grace.`,
		Example: `  oktaretry proxy --org https://acme.okta.com
  oktaretry proxy --org https://acme.okta.com --token-file /run/secrets/okta --policy bulk.yaml
  oktaretry proxy --org acme.localhost=https://acme.okta.com --org dev.localhost=https://dev-1.okta.com
  oktaretry proxy --org https://acme.okta.com --client-id 0oa1 --private-key key.pem --scope okta.users.read
  curl http://127.0.0.1:8080/api/v1/users -H "Authorization: SSWS $OKTA_API_TOKEN"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.ErrOrStderr()) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.orgs, "org", nil, "the org's URL, or NAME=URL to serve it under that host; repeat for several orgs")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8080", "the address for clients")
	flags.StringVar(&f.admin, "admin", "127.0.0.1:8081", `the address of /healthz, /readyz, /metrics and /debug/oktaretry; "" for none`)
	flags.StringArrayVar(&f.names, "host", nil, "a further host that clients may use for the first org; repeat for several")
	flags.StringVar(&f.policy, "policy", os.Getenv("OKTARETRY_POLICY"), "the policy file, followed while it changes (default $OKTARETRY_POLICY, else the built-in policy)")
	flags.StringVar(&f.redis, "redis", "", "share rate limits and circuits with other processes through this Redis: redis://HOST:PORT/DB")
	flags.StringArrayVar(&f.tokenFiles, "token-file", nil, "hold the API token in this file for all clients; ORG-HOST=FILE with several orgs")
	flags.StringVar(&f.clientID, "client-id", "", "hold access tokens of this service app for all clients")
	flags.StringVar(&f.keyFile, "private-key", "", "the service app's private key, PEM or JWK")
	flags.StringVar(&f.keyID, "key-id", "", "the key's id at Okta")
	flags.StringSliceVar(&f.scopes, "scope", nil, "the access tokens' scopes")
	flags.StringVar(&f.authToken, "auth-token-file", "", "demand the token in this file of clients")
	flags.StringVar(&f.cert, "tls-cert", "", "serve HTTPS with the certificate in this file")
	flags.StringVar(&f.key, "tls-key", "", "the certificate's key")
	flags.StringVar(&f.clientCA, "client-ca", "", "demand certificates of clients that are signed by one in this file")
	flags.DurationVar(&f.grace, "grace", 30*time.Second, "how long calls may go on after SIGTERM")
	flags.DurationVar(&f.timeout, "timeout", 0, "bound each call, whatever its client asks for (default no bound but the policy's)")
	flags.IntVar(&f.maxConns, "max-conns", 1024, "how many connections of clients to serve at a time")
	flags.TextVar(&f.logLevel, "log-level", slog.LevelInfo, "from which `level` on to log: debug, info, warn or error")
	flags.BoolVar(&f.logJSON, "log-json", false, "log JSON")
	if err := cmd.MarkFlagRequired("org"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// gcPercent is how much garbage is let grow before it is collected: a proxy keeps a few
// megabytes, and would collect them all the time.
const gcPercent = 400

// run serves until ctx ends.
func (f *proxyFlags) run(ctx context.Context, logTo io.Writer) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	hangups := make(chan os.Signal, 1) // from the beginning until the last call is answered: a hangup ends who does not listen
	signal.Notify(hangups, syscall.SIGHUP)
	defer close(hangups)
	defer signal.Stop(hangups)
	logger := f.logger(logTo)
	c := sidecar.Config{Names: f.names, AuthTokenFile: f.authToken, Logger: logger, Grace: f.grace, MaxTimeout: f.timeout, MaxConns: f.maxConns}
	err := errors.Join(f.noZero(), f.addOrgs(&c), f.addTLS(&c, logger))
	if err != nil {
		return err
	}
	meters, err := addMetrics(&c)
	if err != nil {
		return err
	}
	defer meters.Shutdown(context.WithoutCancel(ctx))
	c.Options = append(c.Options, oktaretry.WithLogger(logger), oktaretry.WithMeterProvider(meters))
	store, err := f.addRedis(&c, logger)
	if err != nil {
		return err
	}
	defer store.Close()
	s, err := sidecar.New(c)
	if err != nil {
		return err
	}
	if err := f.followPolicy(ctx, s, hangups, logger); err != nil {
		return err
	}
	l, admin, err := f.listeners()
	if err != nil {
		return err
	}
	if err := s.CheckListener(l); err != nil {
		return err
	}
	logger.Info("serving", slog.String("address", l.Addr().String()), slog.Int("orgs", len(c.Orgs)), slog.String("version", oktaretry.Version))
	daemon.SdNotify(false, daemon.SdNotifyReady)
	context.AfterFunc(ctx, func() { daemon.SdNotify(false, daemon.SdNotifyStopping) })
	defer returnLeases(ctx, s.Transport())
	return s.Run(ctx, l, admin)
}

// noZero refuses zeros that a Config takes for its defaults.
func (f *proxyFlags) noZero() error {
	var wrong []error
	if f.grace == 0 {
		wrong = append(wrong, errors.New("--grace is 0s, want more: 1ms ends all calls at once"))
	}
	if f.maxConns == 0 {
		wrong = append(wrong, errors.New("--max-conns is 0, want 1 or more"))
	}
	return errors.Join(wrong...)
}

// returnLeases gives back, within a second, what was leased from Redis and not used.
func returnLeases(ctx context.Context, t *oktaretry.Transport) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	t.Close(ctx)
}

func (f *proxyFlags) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: f.logLevel}
	if f.logJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// addOrgs reads --org and what the sidecar holds for each.
func (f *proxyFlags) addOrgs(c *sidecar.Config) error {
	for _, text := range f.orgs {
		o := sidecar.Org{URL: text}
		if name, url, ok := strings.Cut(text, "="); ok && !strings.Contains(name, "/") {
			o = sidecar.Org{URL: url, Names: []string{name}}
		}
		c.Orgs = append(c.Orgs, o)
	}
	if err := f.addTokens(c); err != nil {
		return err
	}
	switch given := f.clientID != "" || f.keyFile != "" || f.keyID != "" || len(f.scopes) > 0; {
	case !given:
		return nil
	case f.clientID == "" || f.keyFile == "" || len(f.scopes) == 0:
		return errors.New("access tokens take --client-id, --private-key and --scope together")
	}
	if len(c.Orgs) > 1 || len(f.tokenFiles) > 0 {
		return errors.New("--client-id and --private-key are for a single org without --token-file")
	}
	key, err := sidecar.PrivateKey(sidecar.PrivateKeyConfig{ClientID: f.clientID, KeyFile: f.keyFile, KeyID: f.keyID, Scopes: f.scopes})
	c.Orgs[0].Credential = key
	return err
}

func (f *proxyFlags) addTokens(c *sidecar.Config) error {
	for _, text := range f.tokenFiles {
		at, path := 0, text
		if host, file, ok := strings.Cut(text, "="); ok && !strings.Contains(host, "/") { // else a path
			path = file
			for at = 0; at < len(c.Orgs) && !strings.EqualFold(host, hostOf(c.Orgs[at].URL)); {
				at++
			}
			if at == len(c.Orgs) {
				return fmt.Errorf("--token-file %s: no --org has that host", text)
			}
		} else if len(c.Orgs) > 1 {
			return fmt.Errorf("--token-file %s: with several orgs, say ORG-HOST=FILE", text)
		}
		if c.Orgs[at].Credential != nil {
			return fmt.Errorf("--token-file %s: a second one for its org", text)
		}
		token, err := sidecar.TokenFile(path)
		if err != nil {
			return err
		}
		c.Orgs[at].Credential = token
	}
	return nil
}

func hostOf(url string) string {
	_, host, _ := strings.Cut(url, "://")
	return strings.TrimSuffix(host, "/")
}

func (f *proxyFlags) addTLS(c *sidecar.Config, logger *slog.Logger) error {
	switch {
	case f.cert == "" && f.key == "" && f.clientCA == "":
		return nil
	case f.cert == "" || f.key == "":
		return errors.New("HTTPS takes both --tls-cert and --tls-key")
	}
	var err error
	c.TLS, err = sidecar.ServerTLS(f.cert, f.key, f.clientCA, logger)
	return err
}

// addMetrics has the metrics of calls, of the sidecar and of the process served, and the
// page of package debug.
func addMetrics(c *sidecar.Config) (*sdkmetric.MeterProvider, error) {
	c.Debug = debugpage.Handler
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	scraped, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	about, err := resource.New(context.Background(), resource.WithAttributes(
		attribute.String("service.name", "oktaretry"), attribute.String("service.version", oktaretry.Version),
	), resource.WithFromEnv(), resource.WithTelemetrySDK()) // OTEL_SERVICE_NAME says it better
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, err
	}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithResource(about), sdkmetric.WithReader(scraped))
	c.Meters = meters
	c.Metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	return meters, nil
}

// addRedis shares the quota; the Redis need not be there yet.
func (f *proxyFlags) addRedis(c *sidecar.Config, logger *slog.Logger) (io.Closer, error) {
	if f.redis == "" {
		return io.NopCloser(nil), nil
	}
	options, err := redis.ParseURL(f.redis)
	if err != nil {
		return nil, errors.New("--redis: not a URL of the form redis://HOST:PORT/DB") // which may hold a password
	}
	options.ContextTimeoutEnabled, options.MaxRetries = true, -1
	fleet.LogTo(logger)
	client := redis.NewClient(options)
	store, err := fleet.New(client)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	c.Options = append(c.Options, oktaretry.WithShared(store))
	return client, nil
}

// followPolicy gives the policy to the transport, now, whenever its file changes, and at
// SIGHUP, which is also for the token files.
func (f *proxyFlags) followPolicy(ctx context.Context, s *sidecar.Sidecar, hangups <-chan os.Signal, logger *slog.Logger) error {
	if f.policy != "" {
		if _, err := policyfile.Watch(ctx, s.Transport(), f.policy, policyfile.WithLogger(logger)); err != nil {
			return err
		}
	}
	go func() {
		for range hangups {
			f.reload(s, logger)
		}
	}()
	return nil
}

func (f *proxyFlags) reload(s *sidecar.Sidecar, logger *slog.Logger) {
	s.Reload()
	if f.policy == "" {
		return
	}
	p, err := policyfile.Read(f.policy)
	if err == nil {
		err = s.Transport().SetPolicy(p)
	}
	if err != nil {
		logger.Error("policy not reloaded", slog.Any("error", err))
		return
	}
	logger.Info("policy reloaded")
}

// listeners returns those that systemd hands over, or new ones.
func (f *proxyFlags) listeners() (l, admin net.Listener, err error) {
	given, err := activation.ListenersWithNames()
	if err != nil {
		return nil, nil, err
	}
	if named := given["admin"]; len(named) > 0 {
		admin = named[0]
	}
	for name, all := range given {
		if name != "admin" && len(all) > 0 && (l == nil || name == "proxy") {
			l = all[0]
		}
	}
	if l == nil {
		if l, err = net.Listen("tcp", f.listen); err != nil {
			return nil, nil, err
		}
	}
	if admin == nil && f.admin != "" {
		if admin, err = net.Listen("tcp", f.admin); err != nil {
			return nil, nil, errors.Join(err, l.Close())
		}
	}
	return l, admin, nil
}

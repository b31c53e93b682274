// This file holds what is in deploy/ against the command: units, image and manifest name
// flags that it knows, and are well-formed as far as that can be found out here.

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const deploy = "../../deploy/"

// knowsFlags runs the command with --help last, which takes what stands before it apart
// and does no more.
func knowsFlags(t *testing.T, args []string) {
	t.Helper()
	if out, err := exec.Command(command, append(args, "--help")...).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--auth-token-file")) {
		t.Errorf("%q: %v: %s", args, err, out)
	}
}

func TestUnitsAreWellFormed(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"oktaretry-proxy.socket", "oktaretry-proxy.service"} {
		text, err := os.ReadFile(deploy + "systemd/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/oktaretry (.*)$`).FindSubmatch(text); m != nil {
			knowsFlags(t, strings.Fields(string(m[1])))
		} else if strings.HasSuffix(name, ".service") {
			t.Error("the service starts something else")
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte("/usr/local/bin/oktaretry"), []byte(command)), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Log("systemd-analyze is not installed: the units are not verified")
		return
	}
	out, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no"}, files...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "oktaretry-proxy") {
			t.Error(strings.TrimSpace(line))
			err = nil
		}
	}
	if err != nil {
		t.Logf("systemd-analyze, about something else: %v: %s", err, out)
	}
}

func TestTheImageIsStaticAndRunsAsNobody(t *testing.T) {
	text, err := os.ReadFile(deploy + "Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := regexp.MustCompile(`(?m)^FROM `).Split(string(text), -1)
	last := stages[len(stages)-1]
	if len(stages) != 3 || !strings.HasPrefix(last, "gcr.io/distroless/static-debian12:nonroot\n") || !strings.Contains(last, "\nUSER nonroot:nonroot\n") {
		t.Errorf("the last of %d stages is\n%s", len(stages)-1, last)
	}
	for line := range strings.Lines(string(text)) {
		if !regexp.MustCompile(`^(#|\n|FROM|WORKDIR|COPY|RUN|USER|EXPOSE|ENTRYPOINT|CMD|\s)`).MatchString(line) {
			t.Errorf("no instruction: %s", line)
		}
	}
	var entry, args []string
	for name, into := range map[string]*[]string{"ENTRYPOINT": &entry, "CMD": &args} {
		m := regexp.MustCompile(`(?m)^` + name + ` (.*)$`).FindStringSubmatch(last)
		if m == nil || json.Unmarshal([]byte(m[1]), into) != nil {
			t.Errorf("%s is not in its exec form", name)
		}
	}
	knowsFlags(t, args)
	if !*full {
		t.Log("that it is linked statically is left out: run it with -full")
		return
	}
	image := filepath.Join(t.TempDir(), "oktaretry")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", image, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command(image, append(args, "--help")...).CombinedOutput(); err != nil {
		t.Errorf("%q: %v: %s", args, err, out)
	}
	if _, err := exec.LookPath("file"); err == nil {
		if out, _ := exec.Command("file", image).Output(); !strings.Contains(string(out), "statically linked") {
			t.Errorf("%s", out)
		}
	}
}

// container is what this test reads of a Kubernetes container.
type container struct {
	Name            string
	Args            []string
	RestartPolicy   string `yaml:"restartPolicy"`
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
	} `yaml:"securityContext"`
}

func TestTheManifestNamesWhatIsThere(t *testing.T) {
	text, err := os.ReadFile(deploy + "kubernetes/sidecar.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc struct {
			APIVersion string `yaml:"apiVersion"`
			Kind       string
			Data       map[string]string
			Spec       struct {
				Template struct {
					Spec struct {
						TerminationGracePeriodSeconds int         `yaml:"terminationGracePeriodSeconds"`
						InitContainers                []container `yaml:"initContainers"`
					}
				}
			}
		}
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds[doc.APIVersion+" "+doc.Kind] = true
		if policy := doc.Data["policy.yaml"]; policy != "" {
			checkPolicy(t, policy)
		}
		if doc.Kind != "Deployment" {
			continue
		}
		pod := doc.Spec.Template.Spec
		c := pod.InitContainers[0]
		knowsFlags(t, c.Args)
		if s := c.SecurityContext; c.RestartPolicy != "Always" || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !s.ReadOnlyRootFilesystem {
			t.Errorf("the sidecar: %+v", c)
		}
		if pod.TerminationGracePeriodSeconds != 60 || !strings.Contains(strings.Join(c.Args, " "), "--grace=45s") {
			t.Error("the pod's time to stop does not cover the sidecar's")
		}
	}
	if !kinds["v1 ConfigMap"] || !kinds["apps/v1 Deployment"] {
		t.Errorf("it has %v", kinds)
	}
	for _, want := range []string{"path: /readyz, port: admin", "path: /healthz, port: admin", "name: admin, containerPort: 8081", "--admin=:8081"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%q is missing", want)
		}
	}
}

// checkPolicy has the command check a policy.
func checkPolicy(t *testing.T, policy string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(command, "policy", "check", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

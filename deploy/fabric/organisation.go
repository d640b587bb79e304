package fabric

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Organisation is one member of the network.
type Organisation struct {
	Name     string   `yaml:"name" json:"name"`
	Title    string   `yaml:"title" json:"title"`
	MSPID    string   `yaml:"mspID" json:"mspID"`
	Domain   string   `yaml:"domain" json:"domain"`
	Endorses bool     `yaml:"endorses" json:"endorses"`
	Roles    []string `yaml:"roles" json:"roles"`
	Peers    int      `yaml:"peers" json:"peers"`
}

//go:embed organisations.yaml
var defaultOrganisations []byte

var (
	channelRule = regexp.MustCompile(`^[a-z][a-z0-9.-]{0,59}$`)
	nameRule    = regexp.MustCompile(`^[a-z][a-z0-9]{0,29}$`)
	mspRule     = regexp.MustCompile(`^[A-Za-z0-9.-]{1,60}$`)
	domainRule  = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,30}$`)
	roleRule    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
)

const (
	ordererMSP           = "OrdererMSP"
	ordererDomain        = "orderer.trailmark.internal"
	maxOrganisations     = 50
	maxPeers             = 9
	maxOrganisationsFile = 1 << 20
)

// loadOrganisations reads the file, or the default when path is empty.
func loadOrganisations(path string) ([]Organisation, error) {
	raw := defaultOrganisations
	if path != "" {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("opening organisations file: %w", err)
		}
		defer file.Close()
		if raw, err = io.ReadAll(io.LimitReader(file, maxOrganisationsFile+1)); err != nil {
			return nil, fmt.Errorf("reading organisations file: %w", err)
		}
	}
	orgs, err := parseOrganisations(raw)
	if err != nil && path != "" {
		return nil, fmt.Errorf("organisations file %s: %w", path, err)
	}
	return orgs, err
}

// parseOrganisations decodes YAML (of which JSON is a part) strictly.
func parseOrganisations(raw []byte) ([]Organisation, error) {
	if len(raw) > maxOrganisationsFile {
		return nil, fmt.Errorf("larger than %d bytes", maxOrganisationsFile)
	}
	var file struct {
		Organisations []Organisation `yaml:"organisations"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("decoding: %w", err)
	}
	orgs := file.Organisations
	for i := range orgs {
		setDefault(&orgs[i].Peers, 1)
		setDefault(&orgs[i].Domain, orgs[i].Name+".trailmark.internal")
		if orgs[i].Title == "" && orgs[i].Name != "" {
			orgs[i].Title = strings.ToUpper(orgs[i].Name[:1]) + orgs[i].Name[1:]
		}
	}
	return orgs, validateOrganisations(orgs)
}

func validateOrganisations(orgs []Organisation) error {
	if len(orgs) == 0 || len(orgs) > maxOrganisations {
		return fmt.Errorf("%d organisations: want 1 to %d", len(orgs), maxOrganisations)
	}
	var errs []error
	seen := map[string]int{ordererMSP: 0, ordererDomain: 0}
	for i, o := range orgs {
		refuse := func(bad bool, format string, args ...any) {
			if bad {
				errs = append(errs, fmt.Errorf("organisation %d (%s): %s", i+1, o.Name, fmt.Sprintf(format, args...)))
			}
		}
		refuse(!nameRule.MatchString(o.Name), "name %q: want a lower-case letter, then letters and digits, at most 30", o.Name)
		refuse(!mspRule.MatchString(o.MSPID), "mspID %q: want letters, digits, dots or dashes, at most 60", o.MSPID)
		refuse(!domainRule.MatchString(o.Domain), "domain %q is not a lower-case domain name", o.Domain)
		refuse(len(o.Title) > 80, "title of %d bytes: want at most 80", len(o.Title))
		refuse(o.Peers < 1 || o.Peers > maxPeers, "%d peers: want 1 to %d", o.Peers, maxPeers)
		refuse(len(o.Roles) > 20, "%d roles: want at most 20", len(o.Roles))
		for _, role := range o.Roles {
			refuse(!roleRule.MatchString(role), "role %q: want lower-case letters, digits and dashes, at most 40", role)
		}
		for _, unique := range []string{"name " + o.Name, o.MSPID, o.Domain} {
			_, taken := seen[unique]
			refuse(taken, "%s is taken", unique)
			seen[unique] = i
		}
	}
	if !slices.ContainsFunc(orgs, func(o Organisation) bool { return o.Endorses }) {
		errs = append(errs, errors.New("no organisation endorses"))
	}
	return errors.Join(errs...)
}

func endorsers(orgs []Organisation) []Organisation {
	return slices.DeleteFunc(slices.Clone(orgs), func(o Organisation) bool { return !o.Endorses })
}

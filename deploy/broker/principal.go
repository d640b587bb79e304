package broker

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Role says what a connection is for.
type Role string

// The roles. A certificate states its role as organisational unit; the default is a device.
const (
	DeviceRole Role = "device"
	IngestRole Role = "ingest"
)

// Principal is who a connection speaks for.
type Principal struct {
	Role         Role
	Organisation string
	Name         string // of the device or of the ingest instance
}

// Username is how a principal names itself when it logs in with a token.
func (p Principal) Username() string { return string(p.Role) + "/" + p.Organisation + "/" + p.Name }

func (p Principal) check() error {
	if p.Role != DeviceRole && p.Role != IngestRole {
		return fmt.Errorf("role %q is unknown", p.Role)
	}
	if err := provenance.CheckIdentifier("organisation", p.Organisation); err != nil {
		return err
	}
	return provenance.CheckIdentifier(string(p.Role), p.Name)
}

func parseUsername(username string) (Principal, error) {
	parts := strings.Split(username, "/")
	if len(parts) != 3 {
		return Principal{}, fmt.Errorf("user name %.100q: want role/organisation/name", username)
	}
	p := Principal{Role(parts[0]), parts[1], parts[2]}
	return p, p.check()
}

// ClientID writes an identifier as a client identifier: nats-server takes no dots there.
func ClientID(identifier string) string { return strings.ReplaceAll(identifier, ".", "~") }

// mayUse tells whether a principal may connect under a client identifier, which is what sessions are known by. A device uses
// its own name, with anything after a slash; an ingest uses its organisation's lanes and its own instance.
func (p Principal) mayUse(clientID string, lanes uint32) bool {
	if p.Role == DeviceRole {
		name, _, _ := strings.Cut(clientID, "/")
		return name == ClientID(p.Name) && !strings.HasPrefix(name, "tm-ingest-")
	}
	rest, ok := strings.CutPrefix(clientID, "tm-ingest-"+ClientID(p.Organisation))
	if !ok {
		return false
	}
	if instance, ok := strings.CutPrefix(rest, "/"); ok {
		return instance == ClientID(p.Name)
	}
	number, ok := strings.CutPrefix(rest, "-")
	lane, err := strconv.ParseUint(number, 10, 32)
	return ok && err == nil && lane < uint64(lanes) && number == strconv.FormatUint(lane, 10)
}

// permissions in nats-server's terms. Lanes are listed rather than matched by a wildcard, so that a publish on a lane that
// nobody keeps shows in the broker's log.
func (p Principal) permissions(lanes uint32) *server.Permissions {
	deny := &server.SubjectPermission{Deny: []string{">"}}
	if p.Role == DeviceRole {
		allow := make([]string, lanes)
		for lane := range lanes {
			allow[lane] = subject(fmt.Sprintf("tm/%s/%d/%s", p.Organisation, lane, p.Name))
		}
		return &server.Permissions{Publish: &server.SubjectPermission{Allow: allow}, Subscribe: deny}
	}
	readings, presence := subject("tm/"+p.Organisation)+".>", subject("tm-ingest/"+p.Organisation)
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{readings, presence + "." + subject(p.Name)}},
		Subscribe: &server.SubjectPermission{Allow: []string{readings, presence + ".*"}},
	}
}

// subject translates an MQTT topic made of identifiers the way nats-server does: levels are parted by dots, a dot is "//".
func subject(topic string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(topic, ".", "\x00"), "/", "."), "\x00", "//")
}

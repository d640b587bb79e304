package broker

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"
)

func TestExperiment(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Host: "127.0.0.1", Dir: dir, Lanes: map[string]uint32{"Org.MSP": 2}, SecretFile: filepath.Join(dir, "secret"), Sync: "1s", MaxMessage: 131072, MaxConnections: 100, MaxStore: 1 << 30, MaxInFlight: 4096, AckWait: 20 * time.Second}
	b, err := Start(context.Background(), cfg, Options{})
	require.NoError(t, err)
	defer func() { b.Stop() }()
	connect := func(id string, p Principal, h mqtt.MessageHandler) mqtt.Client {
		o := mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID(id).SetUsername(p.Username()).SetPassword(b.Secret().Token(p, time.Time{})).
			SetCleanSession(false).SetAutoReconnect(false).SetAutoAckDisabled(true).SetDefaultPublishHandler(h)
		c := mqtt.NewClient(o)
		tok := c.Connect()
		tok.Wait()
		require.NoError(t, tok.Error())
		return c
	}
	d := connect("dev~1", Principal{DeviceRole, "Org.MSP", "dev.1"}, nil)
	for i := range 5 {
		tok := d.Publish("tm/Org.MSP/0/dev.1", 1, false, fmt.Sprint(i))
		tok.Wait()
		require.NoError(t, tok.Error())
	}
	start := time.Now()
	got := make(chan string, 100)
	h := func(c mqtt.Client, m mqtt.Message) { got <- fmt.Sprintf("%s %s dup=%v id=%d", time.Since(start), m.Payload(), m.Duplicate(), m.MessageID()) }
	in := Principal{IngestRole, "Org.MSP", "i1"}
	c1 := connect("tm-ingest-Org~MSP-0", in, h)
	for range 5 { fmt.Println("c1", <-got) }
	c2 := connect("tm-ingest-Org~MSP-0", in, h)
	for range 5 { select { case g:= <-got: fmt.Println("c2", g); case <-time.After(25*time.Second): fmt.Println("timeout") } }
	fmt.Println("restart", time.Since(start))
	b.Stop()
	b, err = Start(context.Background(), cfg, Options{})
	require.NoError(t, err)
	fmt.Println("restarted", time.Since(start))
	c2 = connect("tm-ingest-Org~MSP-0", in, h)
	for range 5 { select { case g:= <-got: fmt.Println("c3", g); case <-time.After(25*time.Second): fmt.Println("timeout") } }
	_ = c1
	_ = c2
}

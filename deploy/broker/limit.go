package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// messageStream is where nats-server keeps MQTT messages, beside streams for sessions and retained messages.
const messageStream = "$MQTT_msgs"

// limitMessages gives nine tenths of the store to messages and makes it refuse more, which leaves publishers without an
// acknowledgement. Without this limit they would fill the store, and then not even a session could be saved: ingest could not
// connect to empty it.
func limitMessages(ns *server.Server, password string, maxStore int64) error {
	connection, err := nats.Connect("", nats.InProcessServer(ns), nats.UserInfo(keeperName, password))
	if err != nil {
		return fmt.Errorf("connecting to the message store: %w", err)
	}
	defer connection.Close()
	var info struct {
		Config map[string]any `json:"config"`
	}
	if err := ask(connection, "$JS.API.STREAM.INFO."+messageStream, nil, &info); err != nil {
		return fmt.Errorf("reading the message store's limits: %w", err)
	}
	info.Config["max_bytes"], info.Config["discard"] = maxStore*9/10, "new"
	if err := ask(connection, "$JS.API.STREAM.UPDATE."+messageStream, info.Config, &info); err != nil {
		return fmt.Errorf("limiting the message store: %w", err)
	}
	return nil
}

func ask(connection *nats.Conn, subject string, question, answer any) error {
	var text []byte
	if question != nil {
		var err error
		if text, err = json.Marshal(question); err != nil {
			return fmt.Errorf("encoding: %w", err)
		}
	}
	reply, err := connection.Request(subject, text, 10*time.Second)
	if err != nil {
		return err
	}
	var failure struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := errors.Join(json.Unmarshal(reply.Data, &failure), json.Unmarshal(reply.Data, answer)); err != nil {
		return fmt.Errorf("decoding: %w", err)
	}
	if failure.Error != nil {
		return errors.New(failure.Error.Description)
	}
	return nil
}

-- The read model, first version. Times are milliseconds since 1970, hashes are raw bytes, "leaf" is the index in the log of
-- the transaction that wrote a row, "value" is the canonical CBOR that stands on the ledger.

-- +goose Up
CREATE TABLE position (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    channel   TEXT    NOT NULL,
    blocks    BIGINT  NOT NULL,
    log_size  BIGINT  NOT NULL,
    last_time BIGINT  NOT NULL,
    invalid   BIGINT  NOT NULL,
    frames    BIGINT  NOT NULL,
    readings  BIGINT  NOT NULL,
    refused   BIGINT  NOT NULL,
    late      BIGINT  NOT NULL
);

-- Perfect subtrees of the log's tree; id = level * 2^56 + index.
CREATE TABLE nodes (
    id   INTEGER PRIMARY KEY,
    hash BLOB   NOT NULL
);

CREATE TABLE transactions (
    leaf     INTEGER PRIMARY KEY,
    block    BIGINT NOT NULL,
    tx       BIGINT NOT NULL,
    txid     BLOB   NOT NULL,
    time     BIGINT NOT NULL,
    function TEXT   NOT NULL,
    creator  TEXT   NOT NULL,
    digest   BLOB   NOT NULL,
    records  BLOB   NOT NULL
);
CREATE UNIQUE INDEX transactions_txid ON transactions (txid);

-- Every version of the records that change rarely; heads, lanes and manifests have tables of their own.
CREATE TABLE records (
    key   TEXT   NOT NULL,
    leaf  BIGINT NOT NULL,
    value BLOB   NOT NULL,
    PRIMARY KEY (key, leaf)
);

CREATE TABLE organisations (
    id    TEXT   PRIMARY KEY,
    leaf  BIGINT NOT NULL,
    value BLOB   NOT NULL
);

CREATE TABLE devices (
    id           INTEGER PRIMARY KEY,
    name         TEXT   NOT NULL UNIQUE,
    organisation TEXT   NOT NULL,
    status       BIGINT NOT NULL,
    due          BIGINT NOT NULL,
    leaf         BIGINT NOT NULL,
    value        BLOB   NOT NULL
);

CREATE TABLE heads (
    device     BIGINT NOT NULL,
    epoch      BIGINT NOT NULL,
    leaf       BIGINT NOT NULL,
    gaps       BIGINT NOT NULL,
    value      BLOB   NOT NULL,
    frames     BIGINT NOT NULL,
    readings   BIGINT NOT NULL,
    last_time  BIGINT NOT NULL,
    last_value BIGINT NOT NULL,
    PRIMARY KEY (device, epoch)
);

CREATE TABLE lanes (
    organisation TEXT   NOT NULL,
    lane         BIGINT NOT NULL,
    leaf         BIGINT NOT NULL,
    value        BLOB   NOT NULL,
    PRIMARY KEY (organisation, lane)
);

-- A transaction commits one batch, so its leaf names the batch.
CREATE TABLE batches (
    leaf         INTEGER PRIMARY KEY,
    organisation TEXT   NOT NULL,
    lane         BIGINT NOT NULL,
    number       BIGINT NOT NULL,
    bytes        BIGINT NOT NULL,
    manifest     BLOB   NOT NULL,
    argument     BLOB   NOT NULL
);
CREATE UNIQUE INDEX batches_number ON batches (organisation, lane, number);

CREATE TABLE frames (
    device     BIGINT NOT NULL,
    epoch      BIGINT NOT NULL,
    sequence   BIGINT NOT NULL,
    batch      BIGINT NOT NULL,
    leaf       BIGINT NOT NULL,
    first_time BIGINT NOT NULL,
    last_time  BIGINT NOT NULL,
    PRIMARY KEY (device, epoch, sequence)
) WITHOUT ROWID;

-- A part of a device's day; id = device * 2^39 + day * 2^13 + part. See segment.go.
CREATE TABLE segments (
    id         INTEGER PRIMARY KEY,
    block      BIGINT NOT NULL,
    first_time BIGINT NOT NULL,
    last_time  BIGINT NOT NULL,
    last_value BIGINT NOT NULL,
    hours      BLOB   NOT NULL,
    data       BLOB   NOT NULL
);

CREATE TABLE shipments (
    id           TEXT   PRIMARY KEY,
    organisation TEXT   NOT NULL,
    opened       BIGINT NOT NULL,
    closed       BIGINT NOT NULL,
    search       TEXT   NOT NULL,
    leaf         BIGINT NOT NULL,
    value        BLOB   NOT NULL
);
CREATE INDEX shipments_opened ON shipments (opened, id);

CREATE TABLE parties (
    organisation TEXT NOT NULL,
    shipment     TEXT NOT NULL,
    PRIMARY KEY (organisation, shipment)
);

CREATE TABLE attachments (
    shipment  TEXT   NOT NULL,
    position  BIGINT NOT NULL,
    device    TEXT   NOT NULL,
    from_time BIGINT NOT NULL,
    to_time   BIGINT NOT NULL,
    PRIMARY KEY (shipment, position)
);
CREATE INDEX attachments_device ON attachments (device, from_time);

CREATE TABLE alerts (
    shipment     TEXT   NOT NULL,
    id           TEXT   NOT NULL,
    kind         TEXT   NOT NULL,
    raised       BIGINT NOT NULL,
    acknowledged BIGINT NOT NULL,
    leaf         BIGINT NOT NULL,
    value        BLOB   NOT NULL,
    PRIMARY KEY (shipment, id)
);
CREATE INDEX alerts_raised ON alerts (raised, shipment, id);
CREATE INDEX alerts_id ON alerts (id);

CREATE TABLE models (
    name    TEXT   NOT NULL,
    version TEXT   NOT NULL,
    leaf    BIGINT NOT NULL,
    value   BLOB   NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE TABLE checkpoints (
    size         BIGINT NOT NULL,
    organisation TEXT   NOT NULL,
    leaf         BIGINT NOT NULL,
    agreement    BIGINT NOT NULL,
    value        BLOB   NOT NULL,
    PRIMARY KEY (size, organisation)
);
CREATE INDEX checkpoints_unchecked ON checkpoints (agreement, size);

CREATE TABLE contradictions (
    size  INTEGER PRIMARY KEY,
    leaf  BIGINT NOT NULL,
    value BLOB   NOT NULL
);

CREATE TABLE anomalies (
    id     INTEGER PRIMARY KEY,
    block  BIGINT NOT NULL,
    tx     BIGINT NOT NULL,
    kind   TEXT   NOT NULL,
    detail TEXT   NOT NULL,
    time   BIGINT NOT NULL
);

-- +goose Down
DROP TABLE position;
DROP TABLE nodes;
DROP TABLE transactions;
DROP TABLE records;
DROP TABLE organisations;
DROP TABLE devices;
DROP TABLE heads;
DROP TABLE lanes;
DROP TABLE batches;
DROP TABLE frames;
DROP TABLE segments;
DROP TABLE shipments;
DROP TABLE parties;
DROP TABLE attachments;
DROP TABLE alerts;
DROP TABLE models;
DROP TABLE checkpoints;
DROP TABLE contradictions;
DROP TABLE anomalies;

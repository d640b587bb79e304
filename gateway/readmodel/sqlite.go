package readmodel

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // and the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many queries run side by side.
const readers = 8

// openSQLite opens one writer and a pool of readers on a database file, and brings its tables up to date. Write-ahead logging lets
// readers go on while a block is written; a power cut may take the last blocks back, which are then projected again.
func openSQLite(ctx context.Context, path string) (writer, reader *sql.DB, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, nil, err
	}
	source := func(query url.Values) string {
		return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
	}
	writer, err = sql.Open("sqlite", source(url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "page_size(8192)", "journal_mode(WAL)", "synchronous(NORMAL)", "cache_size(-65536)", "wal_autocheckpoint(4000)",
	}}))
	if err != nil {
		return nil, nil, err
	}
	writer.SetMaxOpenConns(1)
	if err := migrate(ctx, writer, goose.DialectSQLite3); err != nil {
		_ = writer.Close()
		return nil, nil, err
	}
	reader, err = sql.Open("sqlite", source(url.Values{"_pragma": {"busy_timeout(10000)", "query_only(1)", "cache_size(-8192)"}}))
	if err != nil {
		_ = writer.Close()
		return nil, nil, err
	}
	reader.SetMaxOpenConns(readers)
	reader.SetMaxIdleConns(readers)
	return writer, reader, nil
}

func migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrating read model: %w", err)
	}
	return nil
}

// isConstraint tells whether a statement failed because of what it would have written.
func isConstraint(err error) bool {
	failed := new(sqlite.Error)
	return errors.As(err, &failed) && failed.Code()&0xff == sqlite3.SQLITE_CONSTRAINT
}

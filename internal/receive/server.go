package receive

import (
	"log/slog"
	"net/http"
	"time"
)

// Server bounds what a connection may cost. It serves h on the public listener,
// behind d.
func Server(h http.Handler, d *Door, log *slog.Logger) *http.Server {
	return &http.Server{
		ConnState:         d.Watch,
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Package seawall holds the nouns of the gateway, their states and the kinds of
// error, in the words that the configuration, the API, the command line and the
// documentation share. It imports the standard library only, so that every room
// can speak of them without depending on another room.
//
// A source sends a request: that is an [Arrival]. A verified arrival becomes an
// [Event], or is recognised as a duplicate of one. An event is planned onto
// routes ([Decision]); each matching route makes a [Delivery]; each try of a
// delivery is an [Attempt].
package seawall

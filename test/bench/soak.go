package main

import "context"

func soak(ctx context.Context, o options) (*report, error) { return nil, nil }

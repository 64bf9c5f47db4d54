"""Use cases: generators of events, without a widget."""

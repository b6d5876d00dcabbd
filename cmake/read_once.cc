// A precompiled header needs a source that it belongs to.

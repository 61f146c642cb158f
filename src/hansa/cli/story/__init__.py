"""The story that `hansa demo` tells: real nodes, real data, each step with what was checked."""

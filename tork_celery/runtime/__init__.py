"""Where steps run: in containers of a Docker engine, or as processes of this machine."""

"""Links to the files of `config-samples/` that `synapse-bum provision` fills in: each text exists once."""

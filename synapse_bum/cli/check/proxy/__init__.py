"""`synapse-bum check --proxy-config`: what nginx in front of the homeserver lets through.

| module | what it holds |
|---|---|
| `blocks` | reading nginx's configuration: directives and blocks |
| `included` | the files that a configuration includes, each in its place |
| `routing` | what nginx does with a request: which server and location, refused or passed on, and to whom |
| `rewriting` | the rewrite module's `set`, `if`, `return` and `rewrite`, as far as they decide that |
| `remarks` | what there is to say |
"""

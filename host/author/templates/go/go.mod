module @@NAME@@

go 1.25

require go.bytecodealliance.org/pkg v0.2.3

// Written by `postgate build`, so that nothing is downloaded.
replace go.bytecodealliance.org/pkg => ./bindings/go-pkg

"""The real command line, for runs that are joined: small parts, and leases that expire in seconds."""

from __future__ import annotations

from templ.cli import main
from templ.runs import parts

if __name__ == "__main__":
    parts.MOLECULES_A_PART, parts.RENEW_S, parts.EXPIRED_S = 4, 0.2, 3.0
    main()

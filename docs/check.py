"""Check the documentation: relative links lead to files, and the README's code runs.

The `sh` and `python` blocks of README.md run in their order in one temporary folder. A block under a comment
`<!-- not run: reason -->` is left out.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^(<!-- not run: .+ -->\n+)?```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def broken_links(page: Path) -> list[str]:
    """List the page's relative links that lead nowhere."""
    targets = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return [
        f"{page.relative_to(ROOT)}: {target} does not exist"
        for target in targets
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists()
    ]


def failing_blocks(page: Path) -> list[str]:
    """Run the page's code blocks and list those that fail, each with the end of what it printed."""
    programs = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for skipped, language, code in BLOCK.findall(page.read_text(encoding="utf-8")):
            if skipped:
                continue
            done = subprocess.run(
                [*programs[language], code],
                cwd=folder,
                env={**os.environ, "PATH": path},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode:
                failures.append(f"{page.name}: this block fails:\n{code}{done.stdout[-2000:]}")
    return failures


def main() -> int:
    """Print what is wrong; return the exit status."""
    pages = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    problems = [problem for page in pages for problem in broken_links(page)]
    problems += failing_blocks(ROOT / "README.md")
    print("\n".join(problems) or f"{len(pages)} pages: links and code are good.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

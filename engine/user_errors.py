"""Describes an exception in a user's Python code in one line: its type, its message, its place, what would help.

Python layers are mostly older than the libraries that run them today: what those have dropped is named, with what to
write instead.
"""

import re
import sys
import sysconfig
import traceback
from pathlib import Path
from types import ModuleType

from engine.errors import EngineError

LONGEST = 500
"""Characters of an exception's own message that are shown at most."""

_OURS = str(Path(__file__).parent.parent)
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})

_PYTHON_2_MODULES = frozenset(
    (
        *("__builtin__", "ConfigParser", "Cookie", "HTMLParser", "Queue", "SocketServer", "StringIO", "Tkinter"),
        *("cPickle", "cStringIO", "commands", "copy_reg", "cookielib", "httplib", "itertools.izip", "sets", "thread"),
        *("urllib2", "urlparse", "xmlrpclib"),
    )
)
_PYTHON_2_NAMES = frozenset(
    (
        *("apply", "basestring", "cmp", "execfile", "file", "long", "raw_input", "reduce", "reload", "unichr"),
        *("unicode", "xrange"),
    )
)
_PYTHON_2_ATTRIBUTES = frozenset(("has_key", "iteritems", "iterkeys", "itervalues", "func_name", "im_func", "next"))
_PYTHON_2_SYNTAX = re.compile(
    r"Missing parentheses|multiple exception types|leading zeros|inconsistent use of tabs|invalid decimal literal"
)
_PYTHON_2_LINE = re.compile(r"^\s*(print|exec)\b(?!\s*\()|\braise\s+\w+\s*,|<>|`|^\s*except\s+[\w.]+\s*,|\bur['\"]")
_NO_LOADER = re.compile(r"(load(?:_all)?)\(\) missing 1 required positional argument: 'Loader'")
"""What PyYAML says of `yaml.load(TEXT)`, which it allowed before version 6."""

_NO_INTEGER = re.compile(
    r"'float' object cannot be interpreted as an integer|indices must be integers or slices, not float"
    r"|^slice indices must be integers|^only integers, slices|^expected a sequence of integers or a single integer"
)
"""What Python and NumPy say of a float as an index, a length or a count."""

_FROM = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")
_DROPPED = {
    ("numpy", "asscalar"): "X.item()",
    ("numpy", "cumproduct"): "numpy.cumprod",
    ("numpy", "in1d"): "numpy.isin",
    ("numpy", "product"): "numpy.prod",
    ("numpy", "trapz"): "numpy.trapezoid",
    ("ndarray", "tostring"): "X.tobytes()",
    ("scipy.misc", "imread"): "cv2.imread(FILE)[..., ::-1]",
    ("scipy.misc", "imresize"): "cv2.resize(X, (WIDTH, HEIGHT))",
    ("scipy.misc", "imsave"): "cv2.imwrite(FILE, X[..., ::-1])",
    ("scipy.misc", "logsumexp"): "scipy.special.logsumexp",
}
"""Names that NumPy and SciPy no longer have, where the error's own message does not tell; and what to write."""


def described(error: BaseException, code: str = "") -> str:
    """`TYPE: MESSAGE (FILE:LINE, in FUNCTION)`; for code of Python 2 or of older libraries, also what to write now.

    `code`: what to name as the place if no line of the user's own is in the traceback.
    """
    words = " ".join(_words(error).split())
    text = words if len(words) <= LONGEST else f"{words[:LONGEST]}…"
    where = _where(error) or code
    description = type(error).__name__ + (f": {text}" if text else "") + (f" ({where})" if where else "")
    if _of_python_2(error):
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return f"{description}. This is Python 2 code, and Python {version} runs it: 2to3 -w FILE converts it."
    advice = _instead(error)
    return f"{description}. {advice}" if advice else description


def caught_as(error: EngineError, cause: BaseException) -> EngineError:
    """`error` as an exception that is also of the type of `cause`, with its `args` and attributes.

    `except` clauses for the user's own exception therefore catch it, as in pycaffe. Returns `error` itself where the
    type of `cause` has an effect of its own: one that is not an Exception, and those that end an iteration.
    """
    if not isinstance(cause, Exception) or isinstance(cause, EngineError | StopIteration | StopAsyncIteration):
        return error
    kind = type(cause)
    try:
        combined_type = type(type(error).__name__, (type(error), kind), {"__str__": lambda _: str(error)})
        combined: BaseException = kind.__new__(combined_type, *cause.args)
    except TypeError:  # a type that cannot be a second base, or is not constructed from its args
        return error
    assert isinstance(combined, EngineError)
    combined.args = cause.args
    vars(combined).update(vars(cause))
    return combined


def _words(error: BaseException) -> str:
    try:
        return error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:
        return "its message cannot be shown"  # its __str__ is user code too


def _where(error: BaseException) -> str:
    """The innermost line of the user's own code, or of a library's if the traceback has none of the user's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno or 1}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(("<", _OURS))]
    own = [f for f in frames if not f.filename.startswith(_LIBRARIES)] or frames
    return f"{own[-1].filename}:{own[-1].lineno}, in {own[-1].name}" if own else ""


def _instead(error: BaseException) -> str:
    """What to write for what a library has dropped, or Python 2's division; empty if that is not what is wrong."""
    if isinstance(error, TypeError) and (loader := _NO_LOADER.search(_words(error))):
        return f"PyYAML 6 needs to be told how to read: write yaml.safe_{loader[1]}(TEXT)."
    if isinstance(error, TypeError | IndexError) and _NO_INTEGER.search(_words(error)):
        return "If the number comes from /, write //: in Python 3, / makes floats of integers."
    if isinstance(error, AttributeError) and error.name:
        owner = error.obj.__name__ if isinstance(error.obj, ModuleType) else type(error.obj).__name__
        dropped = _DROPPED.get((owner, error.name))
    else:
        match = _FROM.match(_words(error)) if isinstance(error, ImportError) else None
        dropped = _DROPPED.get((match[2], match[1])) if match else None
    return f"Later versions of the library have dropped it: write {dropped}." if dropped else ""


def _of_python_2(error: BaseException) -> bool:
    """Whether the error looks like one of Python 2 code run by Python 3."""
    match error:
        case SyntaxError():
            return bool(_PYTHON_2_SYNTAX.search(error.msg) or _PYTHON_2_LINE.search(error.text or ""))
        case ModuleNotFoundError():
            return error.name in _PYTHON_2_MODULES
        case NameError() | AttributeError():
            known = _PYTHON_2_NAMES if isinstance(error, NameError) else _PYTHON_2_ATTRIBUTES
            return error.name in known
    return False

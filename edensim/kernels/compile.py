"""Compile the core once, run it ever after without loading the compiler. The only `import numba` of the project.

`jit` marks a helper (compiled as part of whoever calls it). `entry(...)` marks a function that Python calls: its arguments are declared as text,
`"CHANNEL[:]"` for a one-dimensional array of a registered record or numpy scalar type, `"i8"` for an integer; it returns an int64.
The first call on a machine compiles the entry to an object file in the cache folder, keyed by a hash of the sources it is made from (its
module and what that imports), of numba's version and of the processor. Later processes load that object themselves: no import of numba (0.4 s) or of
LLVM (0.07 s), no stale code (numba's own cache does not see an edit in another file).

Environment: NUMBA_DISABLE_JIT=1 runs the same text as Python (slow, debuggable); NUMBA_BOUNDSCHECK=1 compiles with bounds checks, uncached, through
numba's dispatcher so that an IndexError reaches Python; EDENSIM_CACHE names the cache folder.
"""

from __future__ import annotations

import ast
import ctypes
import functools
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edensim.kernels import machine_code

DISABLED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
BOUNDSCHECK = os.environ.get("NUMBA_BOUNDSCHECK", "0") not in ("", "0")
OPTIONS = {"error_model": "numpy", "boundscheck": BOUNDSCHECK}
#: The core allocates nothing, so nothing is reference-counted: numba would count each array at each call. The outermost wrapper makes arrays from
#: pointers and must.
INNER_OPTIONS = {**OPTIONS, "_nrt": BOUNDSCHECK}

#: Array element types that entry declarations may name.
DTYPES: dict[str, np.dtype] = {
    "i8": np.dtype(np.int64),
    "i4": np.dtype(np.int32),
    "u1": np.dtype(np.uint8),
    "u8": np.dtype(np.uint64),
    "f8": np.dtype(np.float64),
}

#: What the back end may call by itself.
LIBC = ("memset", "memcpy", "memmove", "memcmp")

_linked: list[Any] = []  # engines own the machine code: they live as long as the process


def register(name: str, dtype: np.dtype) -> np.dtype:
    """Make a record dtype known to entry declarations."""
    DTYPES[name] = dtype
    return dtype


class Helper:
    """A function for other compiled functions; compiled by numba only when something that uses it has to be compiled."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self.function = function
        self.options = options
        self.dispatcher: Any = None
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def compiled(self) -> Any:
        if self.dispatcher is None:
            self.dispatcher = _inner(self.function, **self.options)
        return self.dispatcher


def _inner(function: Callable[..., Any], **options: Any) -> Any:
    """numba's dispatcher for a function that other compiled functions call."""
    import numba

    if not BOUNDSCHECK:  # an exception needs what a full compilation sets up
        options |= {
            "pipeline_class": _helper_compiler(),
            "no_cpython_wrapper": True,
            "no_cfunc_wrapper": True,
        }
    return numba.njit(_with_compiled_globals(function), **INNER_OPTIONS, **options)


@functools.cache
def _helper_compiler() -> type:
    """A numba compiler that leaves a function as LLVM text, to be optimized and translated once, as part of the entry that uses it.

    numba's own optimizes each function with all it calls, and translates it, before its callers do the same again: twice the time in all.
    """
    from numba.core import codegen, compiler, typed_passes
    from numba.core.compiler_machinery import LoweringPass, register_pass
    from numba.core.cpu import _dynfunc

    class Text(codegen.JITCodeLibrary):
        """Functions tidied one by one; the rest is left to the library that they are linked into."""

        def _optimize_final_module(self) -> None:
            pass

        def _finalize_final_module(self) -> None:
            self._finalized = True

    @register_pass(mutates_CFG=False, analysis_only=True)
    class Publish(LoweringPass):
        """Make the function known to its callers."""

        _name = "edensim_publish"

        def __init__(self) -> None:
            super().__init__()

        def run_pass(self, state: Any) -> bool:
            result = state.cr
            name = result.fndesc.qualname
            stub = _dynfunc.make_function(
                result.fndesc.lookup_module(), name, "", 0, result.env, (state.library,)
            )
            state.targetctx.insert_user_function(stub, result.fndesc, [state.library])
            state.cr = result._replace(cfunc=stub)
            return True

    class HelperCompiler(compiler.CompilerBase):
        def define_pipelines(self) -> list[Any]:
            self.state.flags.no_compile = True
            self.state.library = Text(
                self.state.targetctx.codegen(), self.state.func_id.func_qualname
            )
            self.state.library.enable_object_caching()
            pipeline = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
            pipeline.add_pass_after(Publish, typed_passes.NativeLowering)
            pipeline.finalize()
            return [pipeline]

    return HelperCompiler


def jit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Mark a helper of the core. Called from Python it runs as plain Python."""
    if function is None:
        return lambda f: jit(f, **options)
    if DISABLED:
        return function
    return Helper(function, options)


def _with_compiled_globals(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, with every helper it names replaced by numba's dispatcher for it."""
    import types

    scope = {
        key: value.compiled() if isinstance(value, Helper) else value
        for key, value in function.__globals__.items()
        if key in _names(function)
    }
    scope["__name__"] = function.__module__
    return types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__)


def _names(function: Callable[..., Any]) -> set[str]:
    return set(function.__code__.co_names)


def entry(*signature: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Mark a function that Python calls, with the types of its arguments."""

    def wrap(function: Callable[..., int]) -> Callable[..., int]:
        return function if DISABLED else Entry(function, signature)

    return wrap


class Entry:
    """A compiled function: arrays are checked against the declaration, then passed as pointer and length."""

    def __init__(self, function: Callable[..., int], signature: tuple[str, ...]) -> None:
        self.function = function
        self.signature = signature
        self.native: Any = None
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: Any) -> int:
        if self.native is None:
            self.native = self._dispatcher() if BOUNDSCHECK else self._link()
        if BOUNDSCHECK:
            return int(self.native(*arguments))
        flat: list[int] = []
        for kind, argument in zip(self.signature, arguments, strict=True):
            if kind.endswith("[:]"):
                dtype = DTYPES[kind[:-3]]
                if argument.dtype != dtype or argument.ndim != 1 or not argument.flags.c_contiguous:
                    raise TypeError(
                        f"{self.function.__name__}: expected a contiguous 1-D array of {kind[:-3]}, got {argument.dtype}, {argument.ndim}-D"
                    )
                flat += (argument.ctypes.data, argument.shape[0])
            else:
                flat.append(int(argument))
        return int(self.native(*flat))

    def _dispatcher(self) -> Any:
        import numba

        return numba.njit(_with_compiled_globals(self.function), **OPTIONS)

    def _link(self) -> Any:
        module = self.function.__module__
        path = (
            cache_folder()
            / f"{module.removeprefix('edensim.kernels.')}.{self.function.__name__}.{source_digest(SOURCES, module)}.o"
        )
        data = path.read_bytes() if path.exists() else self._compile(path)
        header, _, code = data.partition(b"\n")
        symbol, *imports = header.decode().split()
        address = machine_code.load(code, symbol, runtime_address) or _linked_address(
            code, symbol, imports
        )
        argument_types: list[Any] = []
        for kind in self.signature:
            argument_types += (
                [ctypes.c_void_p, ctypes.c_int64] if kind.endswith("[:]") else [ctypes.c_int64]
            )
        return ctypes.CFUNCTYPE(ctypes.c_int64, *argument_types)(address)

    def _compile(self, path: Path) -> bytes:
        """Compile to an object file; it is kept only if the sources on disk are still those this process imported."""
        announce(f"edensim: compiling {self.function.__name__} (once per version and machine)")
        import numba
        from numba import types

        parameters: list[str] = []
        call: list[str] = []
        argument_types: list[Any] = []
        for index, kind in enumerate(self.signature):
            if kind.endswith("[:]"):
                parameters += [f"a{index}", f"n{index}"]
                call.append(f"carray(a{index}, (n{index},))")
                argument_types += [types.CPointer(numba.from_dtype(DTYPES[kind[:-3]])), types.int64]
            else:
                parameters.append(f"a{index}")
                call.append(f"a{index}")
                argument_types.append(types.int64)
        scope = {"carray": numba.carray, "function": _inner(self.function)}
        # The text is made here, from declarations in this package.
        exec(f"def call({', '.join(parameters)}):\n    return function({', '.join(call)})", scope)  # noqa: S102
        unit = numba.cfunc(types.int64(*argument_types), **OPTIONS)(scope["call"])
        # Linking leaves every import open if one is missing, so all are named: what the code declares, and what the back end may call for loops
        # that fill or copy.
        text = unit._library.get_llvm_str()
        imports = {
            *re.findall(r"^declare .*?@([\w.]+)\(", text, re.M),
            *re.findall(r"^@([\w.]+) = external", text, re.M),
            *LIBC,
        }
        names = sorted(name for name in imports if not name.startswith("llvm."))
        data = (
            " ".join((unit._wrapper_name, *names)).encode()
            + b"\n"
            + unit._library._get_compiled_object()
        )
        module = self.function.__module__
        if source_digest(read_sources(), module) == source_digest(SOURCES, module):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            temporary.write_bytes(data)
            os.replace(temporary, path)
        return data


def _linked_address(code: bytes, symbol: str, imports: list[str]) -> int:
    """Address of a function of an object file, by LLVM's linker."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for name in imports:
        if llvm.address_of_symbol(name) is None:
            llvm.add_symbol(name, runtime_address(name))
    engine = llvm.create_mcjit_compiler(
        llvm.parse_assembly(""), llvm.Target.from_default_triple().create_target_machine()
    )
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _linked.append(engine)
    return int(engine.get_function_address(symbol))


def runtime_address(name: str) -> int:
    """Address of a function or object that compiled code imports: from the C library or Python, else a function that ends the process.

    The last are numba's runtime (reference counts, exceptions), which the core never reaches.
    """
    for library in (ctypes.CDLL(None), ctypes.pythonapi):
        if hasattr(library, name):
            return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    return ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p).value or 0


def announce(line: str) -> None:
    """Say what takes long, on a terminal or not: the first compilation is the one silent wait a user would wonder about."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def read_sources() -> dict[str, bytes]:
    """Every source that compiled code may be made from, as on disk now, by module name."""
    kernels = Path(__file__).parent
    package = kernels.parent
    sources = (*kernels.rglob("*.py"), package / "vocabulary.py")
    return {_module_name(source, package): source.read_bytes() for source in sources}


def _module_name(source: Path, package: Path) -> str:
    return ".".join(("edensim", *source.relative_to(package).with_suffix("").parts))


#: As this process imported them, or all but: read first of all.
SOURCES = read_sources()


def source_digest(sources: dict[str, bytes], module: str) -> str:
    """Hash of a module of the core and of all that it imports from edensim, directly or not: an edit elsewhere leaves its code as it is."""
    closure: set[str] = set()
    waiting = {module, "edensim.kernels.compile", "edensim.kernels.machine_code"}
    while waiting:
        name = waiting.pop()
        closure.add(name)
        waiting |= _imports(sources[name]) & sources.keys() - closure
    return importlib.util.source_hash(b"\0".join(sources[name] for name in sorted(closure))).hex()


def _imports(source: bytes) -> set[str]:
    """Modules of edensim that a source may import, by dotted name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("edensim"):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def cache_folder() -> Path:
    """Folder of the core as compiled with these versions of numpy and numba for this processor."""
    identity = (
        f"{np.__version__} {INNER_OPTIONS}".encode()
        + _version_of("numba")
        + _version_of("llvmlite")
        + _processor()
    )
    root = os.environ.get("EDENSIM_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "edensim"
    )
    return Path(root) / importlib.util.source_hash(identity).hex()


def _version_of(package: str) -> bytes:
    """The file in which a package states its version (reading the installed metadata loads a mail parser, 0.02 s)."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return b""
    stated = Path(found.origin).with_name("_version.py")
    return stated.read_bytes() if stated.exists() else Path(found.origin).read_bytes()


def _processor() -> bytes:
    """What tells processors apart that need different code."""
    try:
        with open("/proc/cpuinfo", "rb") as file:
            first = file.read(1 << 14).split(b"\n\n")[0]
    except OSError:
        import llvmlite.binding as llvm

        return f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}".encode()
    telling = (
        b"vendor_id",
        b"cpu family",
        b"model",
        b"stepping",
        b"flags",
        b"CPU ",
        b"Features",
        b"cpu\t",
        b"isa",
    )
    lines = [line for line in first.splitlines() if line.startswith(telling)]
    return os.uname().machine.encode() + b"\n".join(lines)

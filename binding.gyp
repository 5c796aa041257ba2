{
  "targets": [
    {
      "target_name": "keystead",
      "sources": ["<!@(node -p \"['native', 'native/engine'].flatMap((d) => require('fs').readdirSync(d).filter((f) => f.endsWith('.cc')).map((f) => d + '/' + f)).join(' ')\")"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")", "native"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS", "NODE_ADDON_API_CPP_EXCEPTIONS_ALL", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags!": ["-fno-exceptions"],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++17"],
      "cflags_cc": ["-std=c++20", "-fexceptions", "-fvisibility=hidden", "-O2", "-Wall", "-Wextra"],
      "ldflags": ["-Wl,-z,nodelete"],
      "libraries": ["-ldl"]
    }
  ]
}

"""Reports: `build` executes notebooks and renders each as one HTML page that opens offline.

`page` is what a notebook sees (banner, tables, figures, sounds). Start with `build.build`.
"""

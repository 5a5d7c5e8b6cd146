"""Reports: `build` executes notebooks and makes one site of their pages that opens offline.

`page` is what a notebook sees (banner, tables, figures, sounds), `html` renders it, `runs` has a
page for each run, `site` what all pages share. Start with `build.build`.
"""

"""A trained model outside of Zeuxis: ONNX files, a page, a package, a sheet, a folder."""

"""The export formats: one module each, registered in ``FORMATS`` of `stt_pipeline.backends`.

The interface that a format implements is `stt_pipeline.minutes.exports.ExportFormat`.
"""

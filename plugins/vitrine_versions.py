"""The route `/versions`: the versions of the index that are kept, for the shell; imported when the pages are made."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI


PIPELINE = "train_and_index"


def add_routes(app: "FastAPI", headers: dict[str, str]) -> None:
    """Add it, for who may see the pipeline's runs."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends
    from fastapi.responses import JSONResponse

    from include.core.environment import data_directory
    from include.core.errors import BadSettings, VitrineError
    from include.notebook.vitrine import index_settings
    from include.publishing.kept_versions import kept_versions

    @app.get(
        "/versions", dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, param_dag_id=PIPELINE))]
    )
    def versions(store: str | None = None, collection: str | None = None) -> JSONResponse:
        try:
            found: Any = kept_versions(data_directory(), index_settings(store=store, collection=collection))
        except VitrineError as error:
            status = 422 if isinstance(error, BadSettings) else 500
            return JSONResponse({"detail": str(error)}, status, headers)
        return JSONResponse(found, headers=headers)
